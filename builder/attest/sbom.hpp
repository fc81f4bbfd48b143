// SBOMs of results: the statements that a scanner has left (solver/lower/scan.hpp), as
// attestations.
#pragma once

#include <vector>

#include "exporter/exporter.hpp"

namespace lade {

/// The statements in the tree of `scan`, which may have to be fetched: what is said of the result
/// itself ("sbom.spdx.json") comes first. That tells of each file which of the image's layers has
/// it, once there are some. `result` is the scanned stack. `state` outlives them. Throws Error for
/// what is no statement in SPDX.
std::vector<AttestationRequest> sbom_attestations(StateDir& state, const LayerStack& scan,
                                                  const LayerStack& result,
                                                  const LayerProvider& provider);

}  // namespace lade
