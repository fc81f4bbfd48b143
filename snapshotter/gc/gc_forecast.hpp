// What a garbage collection would do. Private to this folder.
#pragma once

#include <vector>

#include "snapshotter/gc/gc_inventory.hpp"

namespace lade {

/// The images without a name that prune() with these options forgets.
std::vector<ImageName> unnamed_to_go(StateDir& state, const PruneOptions& options);

/// Whether no cached layer or blob stays, however young or small.
bool takes_all_content(const PruneOptions& options);

/// What prune() would remove now. `measured`: an inventory that has layers' sizes, if there is one.
PruneResult forecast_prune(StateDir& state, GcRecords& records, const PruneOptions& options,
                           const Inventory* measured = nullptr);

}  // namespace lade
