// A set of layers that is asked about whole stacks.
#pragma once

#include <unordered_set>

#include "snapshotter/layers/layer.hpp"

namespace lade {

/// Most stacks go on where the one before ended, and may be thousands of layers deep: what two have
/// in common is compared, not looked up. Not thread-safe.
class LayerSet {
 public:
  bool contains(LayerId layer) const { return layers_.contains(layer); }
  void insert(LayerId layer) { layers_.insert(layer); }
  /// The layers of `stack` that are not in the set, bottom first.
  LayerStack missing(const LayerStack& stack);
  const std::unordered_set<LayerId>& layers() const { return layers_; }
  /// Takes out all but these.
  void keep_only(const std::unordered_set<LayerId>& layers);
  /// Takes out all, and returns them.
  std::unordered_set<LayerId> take();

 private:
  std::unordered_set<LayerId> layers_;
  LayerStack last_;  // the stack that was asked about last, as far as it is in the set
};

}  // namespace lade
