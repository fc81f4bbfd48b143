#include "snapshotter/reserve.hpp"

#include <cstdint>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/unique_fd.hpp"

namespace lade {
namespace {

constexpr off_t kReserveBytes = 512 << 10;

std::string reserve_path(const std::string& root) {
  return root + "/reserve";
}

}  // namespace

void keep_reserve(const std::string& root) {
  const std::string path = reserve_path(root);
  if (::access(path.c_str(), F_OK) == 0) return;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return;
  // A filesystem that cannot set room aside has none to give back.
  if (::fallocate(fd.get(), 0, 0, kReserveBytes) != 0) ::unlink(path.c_str());
}

void spend_reserve(const std::string& root) {
  struct statvfs info{};
  if (::statvfs(root.c_str(), &info) != 0) return;
  const uint64_t free = uint64_t{info.f_bavail} * info.f_frsize;
  if (free < uint64_t{kReserveBytes}) ::unlink(reserve_path(root).c_str());
}

bool is_disk_full(const std::string& directory) {
  constexpr uint64_t kFull = 1u << 20;
  struct statvfs info{};
  return ::statvfs(directory.c_str(), &info) == 0 &&
         (uint64_t{info.f_bavail} * info.f_frsize < kFull ||
          (info.f_files > 0 && info.f_favail == 0));
}

}  // namespace lade
