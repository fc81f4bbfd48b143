// Remembers digests of files by what stat says of them, across builds.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sys/stat.h>

#include "base/digest.hpp"

namespace lade {

/// What must be unchanged for a remembered digest to hold.
struct FileStamp {
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  static FileStamp of(const struct stat& info);
  bool operator==(const FileStamp&) const = default;
};

/// The stat cache of one directory tree; a file in the state directory. Thread-safe.
class StatCache {
 public:
  /// Reads what is there; an unreadable or damaged file is an empty cache.
  explicit StatCache(std::string path);

  std::optional<Digest> find(const std::string& file, const FileStamp& stamp) const;
  /// Remembers. A file that changed so shortly before `hashed_at_ns` (CLOCK_REALTIME) that a later
  /// change could carry the same timestamps is not remembered.
  void put(const std::string& file, const FileStamp& stamp, const Digest& digest,
           int64_t hashed_at_ns);
  /// Writes the cache back if anything was learnt; errors are swallowed (it is only a cache).
  void save();

 private:
  struct Known {
    FileStamp stamp;
    Digest digest;
  };
  std::string path_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;
  bool changed_ = false;
};

}  // namespace lade
