// A cache that travels in the image (--cache-to type=inline): what made its layers, in its config.
#pragma once

#include <optional>
#include <vector>

#include "exporter/exporter.hpp"
#include "snapshotter/content/cache_document.hpp"
#include "solver/graph/record.hpp"

namespace lade {

/// Those of `records` whose layers are all among `layers`, the image's own from `base_layers` on;
/// `diff_ids` are the image's, which differ from the layers' where times were clamped. Times are
/// none later than `epoch`, so that equal builds make equal images.
CacheDocument make_inline_cache(StateDir& state, const std::vector<SharedRecord>& records,
                                const LayerStack& layers, size_t base_layers,
                                const std::vector<DiffId>& diff_ids,
                                const std::optional<Timestamp>& epoch);

}  // namespace lade
