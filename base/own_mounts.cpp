#include "base/own_mounts.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace lade::sandbox {
namespace {

/// Which mount and which directory of it "/" is.
bool find_root(struct statx& out) noexcept {
  return ::statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &out) == 0;
}

bool is_same(const struct statx& a, const struct statx& b) noexcept {
  return a.stx_mnt_id == b.stx_mnt_id && a.stx_ino == b.stx_ino;
}

/// Entering a mount namespace, be it the same one, makes its root the process's.
bool enter_whole_namespace() noexcept {
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  return self && ::setns(self.get(), CLONE_NEWNS) == 0;
}

/// Puts a copy of the chroot's tree in the place of all the rest.
bool become_root(int chroot) noexcept {
  const UniqueFd tree(
      ::open_tree(chroot, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
  return tree &&
         ::move_mount(tree.get(), "", chroot, "",
                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0 &&
         ::fchdir(tree.get()) == 0 && ::syscall(SYS_pivot_root, ".", ".") == 0 &&
         ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0;
}

/// In the namespace.
const char* cut_off() noexcept {
  const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statx before{};
  struct statx after{};
  if (!root || !find_root(before)) return "could not look at '/'";
  if (!enter_whole_namespace()) return "could not enter the root of the mount namespace";
  // Before anything is mounted. Not only "/": each mount has a propagation of its own.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return "could not make the mounts private";
  }
  if (!find_root(after)) return "could not look at '/'";
  if (!is_same(before, after) && !become_root(root.get())) {
    return "lade runs in a chroot and could not make it the root of its mounts";
  }
  return nullptr;
}

}  // namespace

void own_mounts() {
  if (const char* failed = cut_off()) throw_errno(failed);
}

const char* try_own_mounts() noexcept {
  if (::unshare(CLONE_NEWNS) != 0) return "could not make a mount namespace";
  return cut_off();
}

}  // namespace lade::sandbox
