// DiffOp: what makes one stack of layers into another.
#pragma once

#include <optional>

#include "snapshotter/layers/layer_store.hpp"

namespace lade {

/// The layers of `upper` above `lower`, if `lower` is its lower part.
std::optional<LayerStack> layers_above(const LayerStack& lower, const LayerStack& upper);

/// Else the difference as one new layer: what is in `upper` only or is another thing there, and
/// whiteouts of what is in `lower` only. All layers must have their directories. CPU- and
/// disk-bound.
LayerId diff_stacks(LayerStore& layers, const LayerStack& lower, const LayerStack& upper);

}  // namespace lade
