// Contexts and Dockerfiles that are no files of the user's: git repositories, HTTP URLs, a tar or a
// Dockerfile on standard input. What names what is as with docker buildx.
//
// Such a context is a source in the build's graph. It is solved here once, alone, because the
// Dockerfile is in it; the build then finds it in the cache.
#pragma once

#include <memory>

#include "app/build/build_input.hpp"
#include "app/ui/interrupts.hpp"
#include "base/progress.hpp"
#include "solver/source/image.hpp"
#include "solver/source/remote_sources.hpp"

namespace lade {

/// Whether reading the input of the build takes more than the user's directory.
bool has_remote_input(const BuildRequest& request);

/// The sources of one build, with its secrets.
std::shared_ptr<RemoteSources> make_remote_sources(StateDir& state, const BuildRequest& request);

/// What loading needs; `interrupts` may be null.
struct InputSurroundings {
  StateDir& state;
  ImageSources& images;
  std::shared_ptr<RemoteSources> remotes;
  ProgressSink& progress;
  Interrupts* interrupts;
};

/// In place of read_build_input(), where has_remote_input(). Throws Error.
BuildInput load_remote_input(const BuildRequest& request, const InputSurroundings& surroundings);

}  // namespace lade
