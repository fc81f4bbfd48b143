// Remembers across builds what a scan of a directory found out, by what stat says of each file:
// digests, extended attributes and link targets, and what copies selected from the whole.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/stat.h>

#include "base/digest.hpp"
#include "base/sys.hpp"

namespace lade {

/// What must be unchanged for what is remembered of a file to hold.
struct FileStamp {
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  static FileStamp of(const struct stat& info);
  bool operator==(const FileStamp&) const = default;
  /// Whether any change after `now_ns` (CLOCK_REALTIME) gives another stamp. A file that changed
  /// just before could change again within the same tick of the clock that stamps files.
  bool is_settled(int64_t now_ns) const;
};

/// What is remembered of one path.
struct KnownFile {
  std::string_view path;  ///< relative to the scanned directory, which is ""
  FileStamp stamp;
  Digest content;  ///< of a regular file; empty if it was never hashed
  std::string_view link_target;
  std::vector<sys::Xattr> xattrs;
};

/// Answers to questions ("what does this COPY select?"), each named by a digest.
using Selections = std::map<Digest, Digest>;

/// The stat cache of one directory tree, as the last scan of it left it: a file in the state
/// directory. Immutable but for a cursor: for one thread at a time.
class StatCache {
 public:
  /// Reads what is there; an unreadable or damaged file is an empty cache.
  explicit StatCache(const std::string& path);

  /// What is known of `file`, unless its stamp differs. Cheapest in the order that was saved; the
  /// result lives as long as this.
  const KnownFile* find(std::string_view file, const FileStamp& stamp);
  size_t size() const { return files_.size(); }
  /// What was selected from the tree when it was as it is remembered here.
  const Selections& selections() const { return selections_; }

  /// Replaces the cache at `path`; errors are swallowed (it is only a cache). `files` is in the
  /// order of the scan.
  static void save(const std::string& path, const std::vector<KnownFile>& files,
                   const Selections& selections);

 private:
  void read(std::string_view bytes);

  std::string bytes_;  // files_ views it
  std::vector<KnownFile> files_;
  std::unordered_map<std::string_view, size_t> by_path_;  // filled when the order differs
  size_t cursor_ = 0;
  Selections selections_;
};

}  // namespace lade
