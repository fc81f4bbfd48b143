#include "base/directory_chain.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr size_t kOpenLevels = 16;

}  // namespace

DirectoryChain::Level DirectoryChain::level(UniqueFd fd) {
  const struct stat info = sys::fstat(fd.get());
  return {std::move(fd), info.st_dev, info.st_ino};
}

DirectoryChain::DirectoryChain(UniqueFd root, Mounts mounts) : mounts_(mounts) {
  levels_.push_back(level(std::move(root)));
}

void DirectoryChain::enter(const std::string& name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  if (mounts_ == Mounts::refuse) how.resolve |= RESOLVE_NO_XDEV;
  UniqueFd child;
  do {
    child.reset(static_cast<int>(::syscall(SYS_openat2, fd(), name.c_str(), &how, sizeof how)));
    // EAGAIN: a rename elsewhere made the kernel unsure that the walk stayed beneath.
  } while (!child && (errno == EINTR || errno == EAGAIN));
  if (!child) throw_errno("could not open the directory " + quoted(name));
  levels_.push_back(level(std::move(child)));
  if (levels_.size() > kOpenLevels) levels_[levels_.size() - 1 - kOpenLevels].fd.reset();
}

void DirectoryChain::leave() {
  Level& parent = levels_[levels_.size() - 2];
  if (!parent.fd) {
    Level found = level(sys::openat(fd(), "..", O_RDONLY | O_DIRECTORY));
    if (found.device != parent.device || found.inode != parent.inode) {
      throw Error("a directory was moved while it was walked through");
    }
    parent.fd = std::move(found.fd);
  }
  levels_.pop_back();
}

}  // namespace lade
