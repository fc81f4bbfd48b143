// Cache mounts that another machine shared, put where a step here expects them.
#pragma once

#include "snapshotter/cache_mount.hpp"
#include "snapshotter/state.hpp"

namespace lade {

/// Unpacks `blob`, a tar, as the mount's tree; digest and size are verified, and nothing is there
/// before all of it is. A tree with devices is refused. The caller holds the directory's lock, not
/// shared, and saw that there is no tree. Blocks on the network. Throws Error.
void restore_mount(StateDir& state, const CacheMountDirectory& directory, const Descriptor& blob,
                   BlobProvider& provider);

}  // namespace lade
