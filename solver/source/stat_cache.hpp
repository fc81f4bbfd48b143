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
#include "solver/source/filesystem.hpp"

namespace lade {

/// What must be unchanged for what is remembered of a file to hold.
struct FileStamp {
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  static FileStamp of(const struct stat& info);
  bool operator==(const FileStamp&) const = default;
  /// Whether any change after `clock_ns` gives another stamp: that is what the clock that stamps
  /// the filesystem's files showed, or less. A file that changed just before could change again
  /// within the same tick, or the same second where times have no nanoseconds. `precise`: it is
  /// this kernel's, read now. Nothing is asked of the modification time, which anybody can set.
  bool is_settled(int64_t clock_ns, bool precise) const;
};

/// What is remembered of one path.
struct KnownFile {
  std::string_view path;  ///< relative to the scanned directory, which is ""
  FileStamp stamp;
  uint64_t filesystem = 0;  ///< Filesystem::identity of what it is on
  Digest content;           ///< of a regular file; empty if it was never hashed
  std::string_view link_target;
  std::vector<sys::Xattr> xattrs;
};

/// Answers to questions ("what does this COPY select?"), each named by a digest.
using Selections = std::map<Digest, Digest>;

/// By Filesystem::identity.
using ServerClocks = std::map<uint64_t, ServerClock>;

/// What is remembered of a directory tree.
struct KnownTree {
  std::vector<KnownFile> files;  ///< in the order of the scan
  /// What was selected from the tree when it was as it is remembered here.
  Selections selections;
  ServerClocks clocks;  ///< of this boot
};

/// The stat cache of one directory tree, as the last scan of it left it: a file in the state
/// directory. Immutable but for a cursor: for one thread at a time.
class StatCache {
 public:
  /// Reads what is there; an unreadable or damaged file is an empty cache.
  explicit StatCache(const std::string& path);

  /// What is known of `file`, unless its stamp or filesystem differs. Cheapest in the order that
  /// was saved; the result lives as long as this.
  const KnownFile* find(std::string_view file, const FileStamp& stamp, uint64_t filesystem);
  size_t size() const { return known_.files.size(); }
  const Selections& selections() const { return known_.selections; }
  const ServerClocks& clocks() const { return known_.clocks; }

  /// Replaces the cache at `path`; errors are swallowed (it is only a cache).
  static void save(const std::string& path, const KnownTree& tree);

 private:
  void read(std::string_view bytes);

  std::string bytes_;  // known_.files views it
  KnownTree known_;
  std::unordered_map<std::string_view, size_t> by_path_;  // filled when the order differs
  size_t cursor_ = 0;
};

}  // namespace lade
