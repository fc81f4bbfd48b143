// Mounts of steps and containers as clients spell them.
#pragma once

#include "solver/graph/definition.hpp"

namespace pb {
class Mount;
}

namespace lade {

/// All of a mount but its input, which is the caller's to say. Throws Error for a type that is not
/// supported.
ExecMount load_mount(const pb::Mount& mount);

/// The other way round, but for the input and the output.
void put_mount(const ExecMount& mount, pb::Mount& out);

}  // namespace lade
