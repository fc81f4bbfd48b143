// Finding the image of `lade run`, and getting its layers ready to be mounted.
#pragma once

#include "app/run/run_options.hpp"
#include "snapshotter/content/image_config.hpp"
#include "snapshotter/state.hpp"

namespace lade {

struct RunImage {
  ImageConfig config;
  LayerStack layers;  ///< all have their directories
};

/// Looks among the images of this machine (names, digests, IDs), then where FROM would. Fetches
/// and unpacks what is missing; says so on standard error. Throws Error.
RunImage find_run_image(StateDir& state, const RunRequest& request);

}  // namespace lade
