// One pass over a local directory: what stat says of each file, and what else must be known of
// those that the stat cache does not know. Private to this folder.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/directory_chain.hpp"
#include "base/pattern.hpp"
#include "solver/source/filesystem.hpp"
#include "solver/source/local_options.hpp"
#include "solver/source/stat_cache.hpp"

namespace lade {

/// What a scan found of one path.
struct Scanned {
  KnownFile file;
  bool is_known = false;  ///< from the scan before: nothing but stat was asked
  mode_t mode = 0;
  dev_t device = 0;  ///< of device files
  uint32_t hardlink_group = 0;
  uint32_t filesystem = 0;  ///< index into what the scan found of those
};

/// A filesystem of a scanned tree, and what its files' times say of it.
struct ScannedFilesystem {
  Filesystem traits;
  int64_t newest_ns = 0;          ///< change time, but for those that no server can have given yet
  bool has_change_times = false;  ///< some differ from the modification times
};

/// In the order of an index. What goes away meanwhile was not there.
class LocalScanner {
 public:
  LocalScanner(const LocalSourceOptions& options, StatCache& cache);

  /// Throws Error, ChangedContext if the tree is moved around.
  void run(int root);

  std::deque<std::string> strings;  ///< what is not in the cache: paths and link targets
  std::vector<Scanned> found;
  std::vector<ScannedFilesystem> filesystems;

 private:
  void descend(const std::string& prefix, const PatternMatcher::Match* parent);
  void visit(const std::string& name, const std::string& path, const PatternMatcher::Match* parent);
  bool add(int dir, const std::string& name, const std::string& path, const struct stat& info);
  void take(Scanned& out, int dir, const std::string& name, const std::string& path,
            const struct stat& info);
  uint32_t filesystem_of(int dir, const std::string& name, dev_t device);
  uint32_t group_of(const struct stat& info);

  const LocalSourceOptions& options_;
  StatCache& cache_;
  PatternMatcher ignore_;
  std::optional<DirectoryChain> place_;
  std::map<std::pair<dev_t, ino_t>, uint32_t> groups_;
  std::map<dev_t, uint32_t> by_device_;  // indexes of filesystems
  dev_t last_device_ = 0;
  const int64_t latest_;  // change time that a server's clock may have come to
};

/// What a scanned file is in an index.
Entry entry_of(const Scanned& scanned);

}  // namespace lade
