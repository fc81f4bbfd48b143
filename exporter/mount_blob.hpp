// The tree of a cache mount as a blob, for caches that share it.
#pragma once

#include <chrono>
#include <optional>

#include "base/unique_fd.hpp"
#include "exporter/exporter.hpp"
#include "snapshotter/cache_mount.hpp"

namespace lade {

/// The directory's lock, not shared; nullopt if others held it all the time.
std::optional<UniqueFd> lock_mount(const CacheMountDirectory& directory,
                                   std::chrono::milliseconds patience);

/// Stores the tree as a compressed tar, the same for the same files. Sockets and devices, such as
/// overlays leave behind, are left out. The caller holds the lock.
Descriptor make_mount_blob(StateDir& state, const CacheMountDirectory& directory,
                           const CompressionOptions& compression);

}  // namespace lade
