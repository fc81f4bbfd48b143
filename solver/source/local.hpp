// The local source: a directory of the user's (the build context), read once.
//
// The scan stats every file that .dockerignore leaves in, in one go, and fixes what the build sees.
// Contents are hashed when a COPY selects them; digests of files that did not change since an
// earlier build come from a stat cache in the state directory. What is copied is what was hashed: a
// file that somebody has written to since is kept as it was then, or as far as it went then if it
// only grew.
#pragma once

#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "solver/ops/tree.hpp"
#include "solver/source/local_options.hpp"

namespace lade {

/// Scans; blocks on the disk. Throws Error naming the path that could not be read; also later, then
/// a ChangedContext, for what is not to be had any more as it was. The owner of
/// everything is 0:0; set-id bits, mode, mtime and xattrs are the files'.
std::shared_ptr<const Tree> scan_local(const LocalSourceOptions& options);

/// A scan that may still be going on. The last copy of it waits for its end.
using LocalScan = std::shared_future<std::shared_ptr<const Tree>>;

/// scan_local() on a thread of its own, while the build's other preparations go on.
LocalScan begin_scan(LocalSourceOptions options);

}  // namespace lade
