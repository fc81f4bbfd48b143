// Opening names in layer directories, whose contents nobody may be trusted with.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace lade {

/// openat2(2) of `path` ("" is `root` itself) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: no
/// symlink is followed, in the middle or at the end, and no mount crossed. Throws Error naming the
/// path.
UniqueFd open_beneath(int root, const std::string& path, int flags);

}  // namespace lade
