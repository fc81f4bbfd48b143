// What mount_setattr(2) does, for kernels before 5.12 and containers that deny it: a bind remount
// of each mount, found in /proc/self/mountinfo.
#pragma once

#include <cstdint>

namespace lade::sandbox {

/// Adds MOUNT_ATTR_* attributes (RDONLY, NOSUID, NODEV, NOEXEC) to the mount and all mounts below
/// it. It must be attached: the kernel remounts nothing outside of the caller's namespace. What is
/// covered by another mount stays as it is, since no path leads there. Throws Error.
void add_attributes_by_remount(int mount_fd, uint64_t attributes);

}  // namespace lade::sandbox
