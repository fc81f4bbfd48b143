// /dev in a sandbox.
#pragma once

#include "solver/executor/child/exec_spec.hpp"
#include "solver/executor/child/mounts.hpp"
#include "solver/executor/child/staging.hpp"

namespace lade::sandbox {

/// Whether a mount of the step's is to be the sandbox's /dev itself rather than cover it: an empty
/// one (tmpfs) would leave the step without /dev/null.
bool is_dev(const Mount& mount);

/// Mounts /dev with the usual devices, an insecure step's with all of the host's. Throws Error.
void mount_dev(int root, const ExecSpec& spec, Nodes nodes, Staging& staging);

}  // namespace lade::sandbox
