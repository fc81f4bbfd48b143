// Capabilities of a step's process (capabilities(7)). Sets are masks with bit N for capability N.
#pragma once

#include <cstdint>

#include "solver/executor/child/exec_spec.hpp"

namespace lade::sandbox {

/// What a step may have: Docker's default set, or everything for an insecure one; never more than
/// the calling process has. Throws Error.
uint64_t step_capabilities(SecurityMode security);

/// Removes all others from the bounding set, for good. Needs CAP_SETPCAP.
void limit_bounding_set(uint64_t keep);

/// Sets permitted and effective to `set`, empties inheritable and ambient.
void set_capabilities(uint64_t set);

}  // namespace lade::sandbox
