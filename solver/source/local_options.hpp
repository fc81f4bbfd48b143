#pragma once

#include <set>
#include <string>
#include <vector>

namespace lade {

struct LocalSourceOptions {
  std::string directory;                     ///< the user's; must exist
  std::string name;                          ///< for messages: "the build context"
  std::vector<std::string> ignore_patterns;  ///< .dockerignore's
  std::string ignore_file;                   ///< its name, for hints
  std::vector<int> ignore_lines;             ///< the line of each pattern, for hints; may be empty
  std::string cache_dir;                     ///< existing directory for stat caches
  /// Paths that changed between being hashed and copied when this was tried before: these are kept
  /// as they are hashed.
  std::set<std::string> unsteady{};
};

}  // namespace lade
