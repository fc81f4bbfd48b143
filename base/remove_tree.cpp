#include "base/remove_tree.hpp"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/directory_chain.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade::sys {
namespace {

/// True if `name` is a directory that is still there, false if nothing is left of it.
bool is_left_after_unlink(int dirfd, const std::string& name) {
  if (::unlinkat(dirfd, name.c_str(), 0) == 0 || errno == ENOENT) return false;
  if (errno != EISDIR && errno != EPERM) throw_errno("could not remove " + quoted(name));
  return true;
}

UniqueFd open_tree_to_remove(int dirfd, const std::string& name) {
  // RESOLVE_NO_XDEV: a mount that should not be here must never be emptied.
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  const bool relative = name.empty() || name[0] != '/';
  if (!relative) how.resolve = RESOLVE_NO_SYMLINKS;
  UniqueFd dir;
  do {
    dir.reset(static_cast<int>(::syscall(SYS_openat2, dirfd, name.c_str(), &how, sizeof how)));
  } while (!dir && (errno == EINTR || errno == EAGAIN));
  if (!dir) throw_errno("could not open " + quoted(name) + " to remove it");
  return dir;
}

}  // namespace

void remove_tree(int dirfd, const std::string& name) {
  if (!is_left_after_unlink(dirfd, name)) return;
  struct Level {
    std::string name;
    std::vector<std::string> children;  // that have not been removed yet
  };
  std::vector<Level> levels;
  {
    DirectoryChain chain(open_tree_to_remove(dirfd, name));
    levels.push_back({name, list_dir(chain.fd())});
    for (;;) {
      auto& children = levels.back().children;
      if (!children.empty()) {
        const std::string child = std::move(children.back());
        children.pop_back();
        if (!is_left_after_unlink(chain.fd(), child)) continue;
        chain.enter(child);
        levels.push_back({child, list_dir(chain.fd())});
        continue;
      }
      if (levels.size() == 1) break;
      chain.leave();
      unlinkat(chain.fd(), levels.back().name, AT_REMOVEDIR);
      levels.pop_back();
    }
  }
  unlinkat(dirfd, name, AT_REMOVEDIR);
}

}  // namespace lade::sys
