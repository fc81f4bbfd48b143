#include "solver/executor/own_mounts.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "solver/executor/mount_api.hpp"

namespace lade::sandbox {
namespace {

/// Which mount and which directory of it "/" is.
struct statx root_identity() {
  struct statx out{};
  if (::statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &out) != 0) {
    throw_errno("could not look at '/'");
  }
  return out;
}

bool is_same(const struct statx& a, const struct statx& b) {
  return a.stx_mnt_id == b.stx_mnt_id && a.stx_ino == b.stx_ino;
}

/// Entering a mount namespace, be it the same one, makes its root the process's.
void enter_whole_namespace() {
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self || ::setns(self.get(), CLONE_NEWNS) != 0) {
    throw_errno("could not enter the root of the mount namespace");
  }
}

/// Puts a copy of the chroot's tree in the place of all the rest.
void become_root(int chroot) {
  const UniqueFd tree = clone_tree(chroot);
  attach(tree.get(), chroot);
  if (::fchdir(tree.get()) != 0) throw_errno("could not enter the chroot's tree");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) {
    throw_errno("lade runs in a chroot and could not make it the root of its mounts");
  }
  if (::umount2(".", MNT_DETACH) != 0) throw_errno("could not detach what is outside the chroot");
  if (::chdir("/") != 0) throw_errno("could not enter the chroot's tree");
}

}  // namespace

void own_mounts() {
  const UniqueFd root = sys::open("/", O_PATH | O_DIRECTORY);
  const struct statx before = root_identity();
  enter_whole_namespace();
  // Before anything is mounted. Not only "/": each mount has a propagation of its own.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    throw_errno("could not make the mounts private");
  }
  if (!is_same(before, root_identity())) become_root(root.get());
}

}  // namespace lade::sandbox
