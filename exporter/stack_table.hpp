// Stacks of layers as a cache's document has them: a tree, each layer with the one below it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "snapshotter/content/cache_document.hpp"
#include "snapshotter/layers/layer_store.hpp"

namespace lade {

/// Collects layers into a document; equal stacks share their entries.
class StackTable {
 public:
  using Describe = std::function<CacheDocument::Layer(LayerId)>;
  StackTable(CacheDocument& document, Describe describe)
      : document_(document), describe_(std::move(describe)) {}

  std::optional<uint32_t> add(const LayerStack& stack) {
    std::optional<uint32_t> top;
    for (const LayerId layer : stack) {
      const auto [entry, is_new] = known_.try_emplace({top, layer}, 0);
      if (is_new) {
        CacheDocument::Layer described = describe_(layer);
        described.parent = top;
        entry->second = static_cast<uint32_t>(document_.layers.size());
        document_.layers.push_back(std::move(described));
      }
      top = entry->second;
    }
    return top;
  }

 private:
  CacheDocument& document_;
  Describe describe_;
  std::map<std::pair<std::optional<uint32_t>, LayerId>, uint32_t> known_;
};

}  // namespace lade
