#include "snapshotter/tree/open_beneath.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade {

UniqueFd open_beneath(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_NOFOLLOW | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  const char* name = path.empty() ? "." : path.c_str();
  for (;;) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, name, &how, sizeof how)));
    if (fd) return fd;
    // EAGAIN: a rename elsewhere made the kernel unsure that the walk stayed beneath.
    if (errno != EINTR && errno != EAGAIN) throw_errno("could not open " + quoted(path));
  }
}

}  // namespace lade
