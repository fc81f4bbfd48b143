#include "snapshotter/tree/device_node.hpp"

#include <cerrno>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "base/user_namespace.hpp"
#include "snapshotter/tree/overlay_xattrs.hpp"

namespace lade {
namespace {

/// "c 1:3", "b 8:0".
std::string mark_of(const Entry& entry) {
  const char type = entry.type == EntryType::char_device ? 'c' : 'b';
  return fmt::format("{} {}:{}", type, entry.dev_major, entry.dev_minor);
}

std::optional<uint32_t> device_number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = failed == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

int make_stand_in(int dir, const std::string& name, const Entry& entry, mode_t mode) {
  const UniqueFd fd(::openat(dir, name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777));
  if (!fd) return -1;
  const std::string mark = mark_of(entry);
  return ::fsetxattr(fd.get(), kDeviceMark, mark.data(), mark.size(), 0);
}

}  // namespace

int make_device(int dir, const std::string& name, const Entry& entry, mode_t mode) {
  const mode_t type = entry.type == EntryType::char_device ? S_IFCHR : S_IFBLK;
  const dev_t device = makedev(entry.dev_major, entry.dev_minor);
  if (::mknodat(dir, name.c_str(), type | (mode & 0777), device) == 0) return 0;
  if (errno != EPERM || !in_user_namespace()) return -1;
  return make_stand_in(dir, name, entry, mode);
}

void read_device_mark(std::string_view mark, Entry& entry) {
  if (entry.type != EntryType::regular || entry.size != 0) return;
  if (!mark.starts_with("c ") && !mark.starts_with("b ")) return;
  const auto numbers = split(mark.substr(2), ':');
  if (numbers.size() != 2) return;
  const auto major = device_number(numbers[0]);
  const auto minor = device_number(numbers[1]);
  // Neither is there for 0:0, which is a whiteout.
  if (!major || !minor || (*major == 0 && *minor == 0)) return;
  entry.type = mark[0] == 'c' ? EntryType::char_device : EntryType::block_device;
  entry.dev_major = *major;
  entry.dev_minor = *minor;
}

}  // namespace lade
