#include "snapshotter/tree/tree_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/user_namespace.hpp"
#include "snapshotter/tree/device_node.hpp"
#include "snapshotter/tree/open_beneath.hpp"
#include "snapshotter/tree/overlay_xattrs.hpp"

namespace lade {
namespace {

/// Reading it with umask(2) would change it for a moment, under other threads' feet.
mode_t current_umask() {
  const auto status = sys::read_file("/proc/self/status");
  constexpr std::string_view kKey = "Umask:\t";
  const size_t at = status ? status->find(kKey) : std::string::npos;
  if (at == std::string::npos) return 0777;  // unknown: every mode is set explicitly
  unsigned value = 0777;
  const char* begin = status->data() + at + kKey.size();
  std::from_chars(begin, status->data() + status->size(), value, 8);
  return value;
}

[[noreturn]] void fail(std::string_view doing, const std::string& path) {
  const int err = errno;
  Error error = Error::from_errno(err, fmt::format("could not {} {}", doing, quoted(path)));
  error.set_hint(unmapped_owner_hint(err));
  throw error;
}

timespec mtime_of(const Entry& entry) {
  return {entry.mtime_sec, static_cast<long>(entry.mtime_nsec)};
}

/// Sets all xattrs through `set`; those the filesystem or the kind of file has no room for are
/// dropped.
template <class Set>
void apply_xattrs(Entry& entry, Set set) {
  std::erase_if(entry.xattrs, [&](const sys::Xattr& xattr) {
    if (set(xattr.name.c_str(), xattr.value.data(), xattr.value.size()) == 0) return false;
    const bool unsupported = errno == ENOTSUP || errno == EPERM;
    if (unsupported && xattr.name != "security.capability") return true;
    fail("set extended attribute " + quoted(xattr.name) + " of", entry.path);
  });
}

}  // namespace

TreeWriter::TreeWriter(int dir, bool userxattr)
    : dir_(dir),
      userxattr_(userxattr),
      own_uid_(::geteuid()),
      own_gid_(::getegid()),
      group_is_own_(sys::fstat(dir).st_gid == own_gid_),
      umask_(current_umask()) {}

bool TreeWriter::owner_differs(const Entry& entry) const {
  // A directory with another group may hand it on (setgid, or a mount with `grpid`).
  return entry.uid != own_uid_ || entry.gid != own_gid_ || !group_is_own_;
}

std::pair<int, std::string> TreeWriter::locate(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {dir_, path};
  const std::string_view dir = std::string_view(path).substr(0, slash);
  for (const auto& parent : parents_) {
    if (parent.fd && parent.path == dir) return {parent.fd.get(), path.substr(slash + 1)};
  }
  Parent& slot = parents_[next_parent_];
  next_parent_ = (next_parent_ + 1) % parents_.size();
  slot.fd = open_beneath(dir_, std::string(dir), O_PATH | O_DIRECTORY);
  slot.path = dir;
  return {slot.fd.get(), path.substr(slash + 1)};
}

UniqueFd TreeWriter::create_file(const Entry& entry) {
  const auto [parent, name] = locate(entry.path);
  UniqueFd fd;
  do {
    fd.reset(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      entry.mode & 0777));
  } while (!fd && errno == EINTR);
  if (!fd) fail("make", entry.path);
  return fd;
}

void TreeWriter::finish_file(int fd, Entry& entry) {
  if (owner_differs(entry) && ::fchown(fd, entry.uid, entry.gid) != 0) {
    fail("set the owner of", entry.path);
  }
  // After the owner, which takes setuid and setgid away, and before the time.
  if (mode_differs(entry.mode) && ::fchmod(fd, entry.mode) != 0)
    fail("set the mode of", entry.path);
  apply_xattrs(entry, [fd](const char* name, const char* value, size_t size) {
    return ::fsetxattr(fd, name, value, size, 0);
  });
  const timespec times[2] = {{0, UTIME_OMIT}, mtime_of(entry)};
  if (::futimens(fd, times) != 0) fail("set the time of", entry.path);
}

void TreeWriter::make(Entry& entry) {
  if (entry.path.empty()) return;
  const auto [parent, name] = locate(entry.path);
  const auto node = [&, at = parent, &leaf = name](mode_t type, dev_t device) {
    if (::mknodat(at, leaf.c_str(), type | (entry.mode & 0777), device) != 0)
      fail("make", entry.path);
  };
  switch (entry.type) {
    case EntryType::directory:
      if (::mkdirat(parent, name.c_str(), 0700) != 0) fail("make directory", entry.path);
      return;
    case EntryType::whiteout:
      return node(S_IFCHR, makedev(0, 0));
    case EntryType::symlink:
      if (::symlinkat(entry.link_target.c_str(), parent, name.c_str()) != 0) {
        fail("make symlink", entry.path);
      }
      break;
    case EntryType::char_device:
    case EntryType::block_device:
      if (make_device(parent, name, entry, entry.mode) != 0) fail("make", entry.path);
      break;
    case EntryType::fifo:
      node(S_IFIFO, 0);
      break;
    case EntryType::socket:
      node(S_IFSOCK, 0);
      break;
    case EntryType::regular:
      throw Error("a regular file is made with create_file()");
  }
  if (owner_differs(entry) &&
      ::fchownat(parent, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    fail("set the owner of", entry.path);
  }
  if (entry.type != EntryType::symlink && mode_differs(entry.mode) &&
      ::fchmodat(parent, name.c_str(), entry.mode, 0) != 0) {
    fail("set the mode of", entry.path);
  }
  if (!entry.xattrs.empty()) {
    const std::string proc_path = fmt::format("/proc/self/fd/{}/{}", parent, name);
    apply_xattrs(entry, [&](const char* key, const char* value, size_t size) {
      return ::lsetxattr(proc_path.c_str(), key, value, size, 0);
    });
  }
  const timespec times[2] = {{0, UTIME_OMIT}, mtime_of(entry)};
  if (::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    fail("set the time of", entry.path);
  }
}

void TreeWriter::link(const std::string& target, const std::string& path) {
  const auto [from, old_name] = locate(target);
  const auto [to, new_name] = locate(path);
  if (::linkat(from, old_name.c_str(), to, new_name.c_str(), 0) != 0) {
    fail(fmt::format("link {} to", quoted(target)), path);
  }
}

void TreeWriter::remove(const std::string& path) {
  const auto [parent, name] = locate(path);
  sys::remove_tree(parent, name);
  // Any of them may have been at or below `path`.
  for (auto& slot : parents_) slot = Parent();
}

void TreeWriter::finish_directory(Entry& entry) {
  const UniqueFd fd = open_beneath(dir_, entry.path, O_RDONLY | O_DIRECTORY);
  if (owner_differs(entry) && ::fchown(fd.get(), entry.uid, entry.gid) != 0) {
    fail("set the owner of", entry.path);
  }
  if (::fchmod(fd.get(), entry.mode) != 0) fail("set the mode of", entry.path);
  apply_xattrs(entry, [&](const char* name, const char* value, size_t size) {
    return ::fsetxattr(fd.get(), name, value, size, 0);
  });
  if (entry.opaque &&
      ::fsetxattr(fd.get(), overlay_xattr(userxattr_, "opaque").c_str(), "y", 1, 0) != 0) {
    fail("mark as opaque", entry.path);
  }
  const timespec times[2] = {{0, UTIME_OMIT}, mtime_of(entry)};
  if (::futimens(fd.get(), times) != 0) fail("set the time of", entry.path);
}

}  // namespace lade
