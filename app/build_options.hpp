// The options of `lade build`, as given and as understood.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/output.hpp"
#include "solver/lower.hpp"
#include "solver/source/image.hpp"

namespace CLI {
class App;
}

namespace lade {

/// As the command line gave them.
struct BuildFlags {
  std::string context;
  std::string file;
  std::vector<std::string> tags;
  std::string target;
  std::vector<std::string> build_args;
  std::vector<std::string> build_contexts;
  std::vector<std::string> labels;
  std::vector<std::string> outputs;
  std::vector<std::string> secrets;
  std::vector<std::string> add_hosts;
  std::vector<std::string> allow;
  std::string network = "default";
  std::string platform;
  std::string progress = "auto";
  std::string pull = "missing";
  int max_parallelism = 0;
  bool no_cache = false;
  bool quiet = false;
};

/// Checked. Paths are as given, relative ones to the working directory.
struct BuildRequest {
  std::string context;
  std::string file;                ///< empty: CONTEXT/Dockerfile; "-": standard input
  std::vector<std::string> names;  ///< normalised: "docker.io/library/app:latest"
  std::vector<Output> outputs;
  std::map<std::string, std::string> secrets;
  LowerOptions lower;  ///< without ignore patterns
  PullPolicy pull = PullPolicy::missing;
  int max_parallelism = 0;
  bool quiet = false;
};

void add_build_flags(CLI::App& command, BuildFlags& flags);

/// Throws Error(usage) naming the option.
BuildRequest check_build_flags(const BuildFlags& flags);

}  // namespace lade
