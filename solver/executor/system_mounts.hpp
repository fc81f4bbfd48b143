// What a process expects of any Linux root filesystem beside the image: /proc, /sys and /dev,
// arranged as Docker's defaults have them.
#pragma once

#include <cstdint>

#include "solver/executor/executor.hpp"

namespace lade::sandbox {

/// Mounts /proc, /sys and /dev into the root; the mount points must exist there. Throws Error.
void mount_system(int root, const ExecSpec& spec);

/// Hides and write-protects the parts of /proc and /sys that belong to the host. After all other
/// mounts, so that none of them uncovers such a part. Needs /dev/null in the root.
void mask_paths(int root);

}  // namespace lade::sandbox
