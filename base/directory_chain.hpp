// Walking down a directory tree of any depth with few descriptors.
//
// A step can nest directories as deep as it likes: a descriptor a level would exhaust the
// process's, a path is limited to PATH_MAX, and recursion overflows the stack. So only the deepest
// levels stay open, and a level whose descriptor was closed is reached again through "..", which is
// believed only if it is still the directory that it was.
#pragma once

#include <deque>
#include <string>

#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace lade {

/// The directories from a root to where the walk is. For one thread.
class DirectoryChain {
 public:
  enum class Mounts { refuse, cross };

  /// `root` must be readable. Entering a mount point is an Error if mounts are refused.
  explicit DirectoryChain(UniqueFd root, Mounts mounts = Mounts::refuse);

  /// The deepest directory.
  int fd() const { return levels_.back().fd.get(); }
  /// 1 at the root.
  size_t depth() const { return levels_.size(); }

  /// Goes down into a directory of fd(); never through a symlink. Throws Error.
  void enter(const std::string& name);
  /// Goes up again, not from the root. Throws Error if the directory has been moved meanwhile.
  void leave();

 private:
  struct Level {
    UniqueFd fd;  // empty: closed, to be found again
    dev_t device = 0;
    ino_t inode = 0;
  };
  static Level level(UniqueFd fd);

  Mounts mounts_;
  std::deque<Level> levels_;
};

}  // namespace lade
