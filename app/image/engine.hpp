// Handing images to the container engine of this machine.
#pragma once

#include <string>

#include "exporter/exporter.hpp"

namespace lade {

/// Gives the image to a running Docker ($DOCKER_HOST if it is a unix:// socket, else
/// /var/run/docker.sock: POST /images/load of the Engine API), streamed as it is written; where no
/// Docker answers and $DOCKER_HOST is not set, to podman's storage (skopeo copy to
/// containers-storage:). Returns which it was. Throws Error naming what was tried.
std::string hand_to_engine(StateDir& state, const ArchivedImage& image);

}  // namespace lade
