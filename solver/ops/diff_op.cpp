#include "solver/ops/diff_op.hpp"

#include <algorithm>
#include <map>

#include "solver/ops/layer_builder.hpp"

namespace lade {
namespace {

bool same(const Entry& a, const Entry& b) {
  Entry left = a;
  left.path = b.path;
  // These two are about the layer, not about what is seen.
  left.hardlink_group = b.hardlink_group;
  left.opaque = b.opaque;
  return left == b;
}

class Difference {
 public:
  Difference(LayerStore& layers, const LayerStack& lower, const LayerStack& upper)
      : layers_(layers),
        upper_stack_(upper),
        lower_(layers.merged(lower, true)),
        upper_(layers.merged(upper, true)),
        builder_(layers, lower_) {}

  LayerId make() {
    builder_.replace_other_types(true);
    upper_.walk("", [&](const Found& found) {
      const auto below = lower_.find(found.path);
      if (!below || !same(*below->entry, *found.entry)) put(found);
      return true;
    });
    lower_.walk("", [&](const Found& found) {
      const auto above = upper_.find(found.path);
      if (!above) builder_.remove(found.path);
      return above && above->entry->type == EntryType::directory;
    });
    return builder_.commit();
  }

 private:
  void put(const Found& found) {
    Entry entry = *found.entry;
    if (entry.type == EntryType::directory) {
      entry.opaque = false;
      builder_.put_directory(found.path, entry, true);
      return;
    }
    if (entry.type != EntryType::regular) return builder_.put_other(found.path, entry);
    const std::pair group(found.layer, entry.hardlink_group);
    if (const auto first = groups_.find(group);
        entry.hardlink_group != 0 && first != groups_.end()) {
      return builder_.put_hardlink(found.path, first->second);
    }
    builder_.put_file(found.path, entry, layers_.open_file(upper_stack_, found).get());
    if (entry.hardlink_group != 0) groups_[group] = found.path;
  }

  LayerStore& layers_;
  const LayerStack& upper_stack_;
  const MergedIndex lower_;
  const MergedIndex upper_;
  LayerBuilder builder_;
  std::map<std::pair<size_t, uint32_t>, std::string> groups_;  // first path of each hard link
};

}  // namespace

std::optional<LayerStack> layers_above(const LayerStack& lower, const LayerStack& upper) {
  if (lower.size() > upper.size()) return std::nullopt;
  const auto top = upper.begin() + static_cast<ptrdiff_t>(lower.size());
  if (!std::equal(lower.begin(), lower.end(), upper.begin())) return std::nullopt;
  return LayerStack(top, upper.end());
}

LayerId diff_stacks(LayerStore& layers, const LayerStack& lower, const LayerStack& upper) {
  return Difference(layers, lower, upper).make();
}

}  // namespace lade
