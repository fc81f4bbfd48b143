// How much of a disk build cache may take, by BuildKit's three numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lade {

/// Of the filesystem that something lies on, in bytes.
struct DiskSpace {
  uint64_t total = 0;
  uint64_t free = 0;
};

/// Throws Error.
DiskSpace disk_space(const std::string& path);

/// Bytes, or a share of the disk that is meant.
struct DiskShare {
  uint64_t bytes = 0;
  unsigned percent = 0;  ///< not 0: counts in place of `bytes`

  uint64_t on(const DiskSpace& disk) const;
};

struct SpaceLimit {
  std::optional<DiskShare> max_used{};  ///< what cache may take
  std::optional<DiskShare> reserved{};  ///< what it may take whatever the others say
  std::optional<DiskShare> min_free{};  ///< what is to stay free on the disk
  /// What it may exceed the limit by, in 32nds of that, before it is measured again: measuring
  /// looks at every file.
  unsigned slack = 0;

  /// As buildkitd has it: 80 % of the disk, but no more than 100 GB, of which a fifth stays free;
  /// 10 % of it, but no more than 10 GB, may be taken in any case.
  static SpaceLimit by_default(const DiskSpace& disk);

  /// To how many bytes cache that takes `cache` is to shrink, or may grow.
  uint64_t kept_bytes(uint64_t cache, const DiskSpace& disk) const;
};

}  // namespace lade
