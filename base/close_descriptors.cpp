#include "base/close_descriptors.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lade::sys {
namespace {

/// As getdents64(2) writes it.
struct DirEntry {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[1];
};

std::optional<unsigned> number_in(const char* name) noexcept {
  unsigned number = 0;
  for (; *name != '\0'; ++name) {
    if (*name < '0' || *name > '9') return std::nullopt;
    number = number * 10 + static_cast<unsigned>(*name - '0');
  }
  return number;
}

void close_up_to_limit(unsigned first, unsigned last) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  for (rlim_t fd = first; fd <= last && fd < limit.rlim_max; ++fd) ::close(static_cast<int>(fd));
}

void close_those_listed(unsigned first, unsigned last) noexcept {
  const int list = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (list < 0) return close_up_to_limit(first, last);
  alignas(DirEntry) std::array<char, 4096> buffer;
  for (long size = 0; (size = ::syscall(SYS_getdents64, list, buffer.data(), buffer.size())) > 0;) {
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const DirEntry*>(buffer.data() + at);
      const auto fd = number_in(entry->name);
      if (fd && *fd >= first && *fd <= last && static_cast<int>(*fd) != list) {
        ::close(static_cast<int>(*fd));
      }
      at += entry->size;
    }
  }
  ::close(list);
}

}  // namespace

void close_descriptors(unsigned first, unsigned last) noexcept {
  if (::syscall(SYS_close_range, first, last, 0) != 0) close_those_listed(first, last);
}

}  // namespace lade::sys
