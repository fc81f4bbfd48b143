#include "snapshotter/gc/space_limit.hpp"

#include <algorithm>

#include <sys/statvfs.h>

#include "base/error.hpp"

namespace lade {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;

uint64_t part_of(uint64_t whole, unsigned percent) {
  return whole / 100 * percent;
}

}  // namespace

DiskSpace disk_space(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) {
    throw_errno("could not ask for the free space at " + quoted(path));
  }
  return {info.f_frsize * info.f_blocks, info.f_frsize * info.f_bfree};
}

uint64_t DiskShare::on(const DiskSpace& disk) const {
  return percent == 0 ? bytes : part_of(disk.total, percent);
}

SpaceLimit SpaceLimit::by_default(const DiskSpace& disk) {
  return {.max_used = DiskShare{.bytes = std::min(part_of(disk.total, 80), 100 * kGigabyte)},
          .reserved = DiskShare{.bytes = std::min(part_of(disk.total, 10), 10 * kGigabyte)},
          .min_free = DiskShare{.percent = 20},
          .slack = 1};
}

uint64_t SpaceLimit::kept_bytes(uint64_t cache, const DiskSpace& disk) const {
  uint64_t kept = max_used ? max_used->on(disk) : min_free ? cache : 0;
  if (const uint64_t wanted = min_free ? min_free->on(disk) : 0; wanted > disk.free) {
    kept = std::min(kept, cache - std::min(cache, wanted - disk.free));
  }
  return std::max(kept, reserved ? reserved->on(disk) : 0);
}

}  // namespace lade
