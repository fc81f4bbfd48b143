#include "base/kernel.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace lade {
namespace {

std::string kernel_release() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

}  // namespace

void require_call(bool works, const char* name) {
  if (works) return;
  if (errno == ENOSYS) {
    Error error(fmt::format("the kernel ({}) has no system call {}, which lade cannot do without",
                            kernel_release(), name));
    error.set_hint(
        fmt::format("lade needs Linux {}.{} or newer; there, a container's seccomp filter may hide "
                    "the call: run it with --security-opt seccomp=unconfined, or with --privileged",
                    oldest_kernel.major, oldest_kernel.minor));
    throw error;
  }
  if (errno == EPERM) {
    Error error(fmt::format("the system call {} is denied, which lade cannot do without", name));
    error.set_hint(
        "in a container: run it with --security-opt seccomp=unconfined, or with --privileged");
    throw error;
  }
}

KernelVersion kernel_version() {
  KernelVersion out;
  if (std::sscanf(kernel_release().c_str(), "%d.%d", &out.major, &out.minor) != 2) return {};
  return out;
}

void require_kernel() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  const UniqueFd root(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how)));
  require_call(bool(root), "openat2");
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  require_call(bool(self), "pidfd_open");
}

std::string old_kernel_note() {
  if (kernel_version() >= oldest_kernel) return "";
  return fmt::format(" (steps need Linux {}.{} or newer, and this is {})", oldest_kernel.major,
                     oldest_kernel.minor, kernel_release());
}

}  // namespace lade
