// The local source: a directory of the user's (the build context), read once.
//
// The scan stats every file that .dockerignore leaves in, in one go, and fixes what the build sees.
// Contents are hashed when a COPY selects them; digests of files that did not change since an
// earlier build come from a stat cache in the state directory. Copying checks every file against
// the scan again.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "solver/tree.hpp"

namespace lade {

struct LocalSourceOptions {
  std::string directory;                     ///< the user's; must exist
  std::string name;                          ///< for messages: "the build context"
  std::vector<std::string> ignore_patterns;  ///< .dockerignore's
  std::string ignore_file;                   ///< its name, for hints
  std::vector<int> ignore_lines;             ///< the line of each pattern, for hints; may be empty
  std::string cache_dir;                     ///< existing directory for stat caches
};

/// Scans; blocks on the disk. Throws Error naming the path that could not be read. The owner of
/// everything is 0:0; set-id bits, mode, mtime and xattrs are the files'.
std::shared_ptr<const Tree> scan_local(const LocalSourceOptions& options);

/// A scan that may still be going on. The last copy of it waits for its end.
using LocalScan = std::shared_future<std::shared_ptr<const Tree>>;

/// scan_local() on a thread of its own, while the build's other preparations go on.
LocalScan begin_scan(LocalSourceOptions options);

}  // namespace lade
