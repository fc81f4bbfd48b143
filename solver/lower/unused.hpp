// Options that name what the Dockerfile does not have: a slip of the pen that would else go unseen.
#pragma once

#include <string>
#include <vector>

namespace lade {

struct LowerOptions;

namespace lowering {

struct LowerState;

/// A sentence for each: build arguments that no ARG takes, contexts that nothing is FROM or copied
/// from, stages of --no-cache-filter, --retry and --timeout. Once all stages have been gone
/// through; those that the target does not need count, too. `asked` are the options as given.
std::vector<std::string> unused_options(const LowerState& state, const LowerOptions& asked);

}  // namespace lowering
}  // namespace lade
