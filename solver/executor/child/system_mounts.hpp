// What a process expects of any Linux root filesystem beside the image and /dev: /proc and /sys,
// arranged as Docker's defaults have them.
#pragma once

#include <vector>

#include "solver/executor/child/cgroup_mounts.hpp"
#include "solver/executor/child/exec_spec.hpp"

namespace lade::sandbox {

/// Mounts /proc and /sys into the root; the mount points must exist there. Throws Error.
void mount_system(int root, const ExecSpec& spec, const std::vector<CgroupMount>& cgroups);

/// Hides and write-protects the parts of /proc and /sys that belong to the host. After all other
/// mounts, so that none of them uncovers such a part. `null` is the sandbox's /dev/null.
void mask_paths(int root, int null);

}  // namespace lade::sandbox
