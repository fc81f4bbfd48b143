// Interprets lade::Mount: makes what is to be mounted, finds its target inside the new root, puts
// it there.
//
// Targets are resolved inside the new root (openat2 RESOLVE_IN_ROOT): a symlink in an image can
// lead a mount elsewhere in the image, never out of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/mount.hpp"
#include "base/unique_fd.hpp"
#include "solver/executor/child/exec_spec.hpp"
#include "solver/executor/child/staging.hpp"

namespace lade::sandbox {

/// Where device nodes can be opened.
enum class Nodes : uint8_t {
  anywhere,  ///< an insecure step's
  by_rules,  ///< where a cgroup's rules hold: not on mounts that do not ask for it
  in_dev,    ///< in the sandbox's own /dev only
};

/// Mounts the root filesystem into the staging area; the result is a descriptor of its "/".
UniqueFd mount_root(const Mount& mount, Nodes nodes, Staging& staging);

/// Puts one mount into the root. Throws Error that names the target.
void mount_into(int root, const Mount& mount, Nodes nodes, Staging& staging);

/// Writes the files into the staging area and binds them to their targets.
void mount_files(int root, const std::vector<EphemeralFile>& files, bool before_mounts,
                 Staging& staging);

}  // namespace lade::sandbox
