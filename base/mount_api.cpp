#include "base/mount_api.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/bind_remount.hpp"
#include "base/error.hpp"
#include "base/kernel.hpp"
#include "base/sys.hpp"

namespace lade::sandbox {

FsContext::FsContext(const char* type) : type_(type), fd_(::fsopen(type, FSOPEN_CLOEXEC)) {
  require_call(bool(fd_), "fsopen");
  if (!fd_) throw_errno(fmt::format("the kernel offers no filesystem {}", quoted(type)));
}

void FsContext::fail(const std::string& doing) {
  const int err = errno;
  // The context's log says in words what errno cannot, e.g. "e overlay: upperdir is in-use".
  std::array<char, 512> log{};
  const ssize_t size = ::read(fd_.get(), log.data(), log.size());
  std::string message = fmt::format("could not {} ({})", doing, type_);
  if (size > 2) message += fmt::format(": {}", std::string_view(log.data() + 2, size - 2));
  while (message.ends_with('\n')) message.pop_back();
  throw Error::from_errno(err, message);
}

void FsContext::set(const char* key, const std::string& value) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) != 0) {
    fail(fmt::format("set the mount option {}={}", key, value));
  }
}

void FsContext::set_flag(const char* key) {
  if (!try_flag(key)) fail(fmt::format("set the mount option {}", key));
}

bool FsContext::try_flag(const char* key) {
  return ::fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) == 0;
}

UniqueFd FsContext::mount(unsigned attributes) {
  if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    fail("make the filesystem");
  }
  UniqueFd fd(::fsmount(fd_.get(), FSMOUNT_CLOEXEC, attributes));
  if (!fd) fail("mount the filesystem");
  return fd;
}

UniqueFd new_filesystem(const char* type, std::initializer_list<FsOption> options,
                        unsigned attributes) {
  FsContext context(type);
  for (const auto& option : options) context.set(option.key, option.value);
  return context.mount(attributes);
}

UniqueFd clone_tree(int path_fd) {
  UniqueFd fd(
      ::open_tree(path_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
  if (!fd) throw_errno("could not copy a mount");
  return fd;
}

UniqueFd open_mount_at(int dir, const std::string& name) {
  UniqueFd fd(::open_tree(dir, name.c_str(), OPEN_TREE_CLOEXEC));
  if (!fd) throw_errno("could not open the mount at " + quoted(name));
  return fd;
}

void add_attributes(int mount_fd, uint64_t attributes) {
  mount_attr change{};
  change.attr_set = attributes;
  if (::mount_setattr(mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) == 0) {
    return;
  }
  // EPERM: from a container's filter, perhaps.
  if (errno != ENOSYS && errno != EPERM) throw_errno("could not change a mount's attributes");
  add_attributes_by_remount(mount_fd, attributes);
}

void make_read_only(int mount_fd) {
  add_attributes(mount_fd, MOUNT_ATTR_RDONLY);
}

void make_nodev(int mount_fd) {
  add_attributes(mount_fd, MOUNT_ATTR_NODEV);
}

void attach(int mount_fd, int target_fd) {
  if (::move_mount(mount_fd, "", target_fd, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    throw_errno("could not attach a mount");
  }
}

void attach_at(int root, const char* target, int mount_fd) {
  with_context([&] { return fmt::format("could not mount {}", target); },
               [&] {
                 const auto fd = sys::open_in_root(root, target, O_PATH | O_DIRECTORY | O_NOFOLLOW);
                 if (!fd) {
                   throw Error("the root filesystem has no such directory", ErrorKind::not_found);
                 }
                 attach(mount_fd, fd->get());
               });
}

}  // namespace lade::sandbox
