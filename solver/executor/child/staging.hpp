// The place where a sandbox's mounts are put together: a small tmpfs laid over "/" of the sandbox's
// own mount namespace. Paths from "/" keep meaning the host, because a path walk starts below what
// covers the root; the staging area is reached through its descriptor alone. So it needs no
// directory on the host, hides nothing that a mount's source may name, and goes away with the old
// root.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace lade::sandbox {

class Staging {
 public:
  /// The mount namespace must be the caller's own, with private propagation. Throws Error.
  Staging();

  int fd() const { return fd_.get(); }
  /// A fresh empty directory.
  std::string make_dir();
  UniqueFd open_dir(const std::string& name) const;

 private:
  UniqueFd fd_;
  unsigned next_ = 0;
};

}  // namespace lade::sandbox
