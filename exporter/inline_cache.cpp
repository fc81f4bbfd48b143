#include "exporter/inline_cache.hpp"

#include <algorithm>
#include <map>

#include "exporter/stack_table.hpp"

namespace lade {

CacheDocument make_inline_cache(StateDir& state, const std::vector<SharedRecord>& records,
                                const LayerStack& layers, size_t base_layers,
                                const std::vector<DiffId>& diff_ids,
                                const std::optional<Timestamp>& epoch) {
  std::map<LayerId, uint32_t> positions;
  for (size_t i = 0; i < layers.size(); ++i) {
    positions.try_emplace(layers[i], static_cast<uint32_t>(i));
  }
  CacheDocument out;
  StackTable stacks(out, [&](LayerId layer) {
    CacheDocument::Layer described;
    const uint32_t position = positions.at(layer);
    described.diff_id = diff_ids.at(position);
    described.content = state.layers().content_digest(layer);
    if (position >= base_layers) described.position = position;
    return described;
  });
  for (const SharedRecord& record : records) {
    const bool is_here = std::all_of(record.layers.begin(), record.layers.end(),
                                     [&](LayerId layer) { return positions.contains(layer); });
    if (!is_here) continue;
    const std::optional<uint32_t> top = stacks.add(record.layers);
    const int64_t created = epoch ? std::min(record.created_at, epoch->seconds) : record.created_at;
    out.records.push_back({record.key, record.op, record.inputs, top, created});
  }
  return out;
}

}  // namespace lade
