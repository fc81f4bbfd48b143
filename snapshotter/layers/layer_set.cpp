#include "snapshotter/layers/layer_set.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lade {

LayerStack LayerSet::missing(const LayerStack& stack) {
  auto [at, differs] = std::mismatch(stack.begin(), stack.end(), last_.begin(), last_.end());
  if (at == stack.end()) return {};
  last_.erase(differs, last_.end());
  for (; at != stack.end() && contains(*at); ++at) last_.push_back(*at);
  LayerStack out;
  std::copy_if(at, stack.end(), std::back_inserter(out),
               [&](LayerId layer) { return !contains(layer); });
  return out;
}

void LayerSet::keep_only(const std::unordered_set<LayerId>& layers) {
  last_.clear();
  std::erase_if(layers_, [&](LayerId layer) { return !layers.contains(layer); });
}

std::unordered_set<LayerId> LayerSet::take() {
  last_.clear();
  return std::exchange(layers_, {});
}

}  // namespace lade
