// What a build reads from the user's directory before it starts: the Dockerfile and .dockerignore.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/build_options.hpp"
#include "base/source_range.hpp"

namespace lade {

struct BuildInput {
  std::shared_ptr<const SourceFile> dockerfile;
  std::string context;  ///< absolute
  std::vector<std::string> ignore_patterns;
  std::string ignore_file;  ///< its name; empty if there is none
};

/// Throws Error naming the file.
BuildInput read_build_input(const BuildRequest& request);

}  // namespace lade
