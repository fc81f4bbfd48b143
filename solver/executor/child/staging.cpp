#include "solver/executor/child/staging.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>

#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"

namespace lade::sandbox {

Staging::Staging() {
  FsContext context("tmpfs");
  context.set("mode", "0700");
  // Secrets lie here. Kernels before 6.4 cannot keep one tmpfs out of swap.
  context.try_flag("noswap");
  fd_ = context.mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (::move_mount(fd_.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    throw_errno("could not attach the staging area");
  }
}

std::string Staging::make_dir() {
  std::string name = fmt::format("{}", next_++);
  sys::mkdirat(fd_.get(), name, 0755);
  return name;
}

UniqueFd Staging::open_dir(const std::string& name) const {
  return sys::openat(fd_.get(), name, O_PATH | O_DIRECTORY);
}

}  // namespace lade::sandbox
