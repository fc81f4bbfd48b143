// Removing directory trees.
#pragma once

#include <string>

namespace lade::sys {

/// Removes a tree below `dirfd`, however deep, without following symlinks or crossing mounts;
/// missing is fine. Throws Error, with a part of the tree maybe gone.
void remove_tree(int dirfd, const std::string& name);

}  // namespace lade::sys
