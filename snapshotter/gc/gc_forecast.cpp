#include "snapshotter/gc/gc_forecast.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "snapshotter/gc/gc_plan.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/layers/file_age.hpp"

namespace lade {
namespace {

class Forecast {
 public:
  Forecast(StateDir& state, GcRecords& records, const PruneOptions& options)
      : state_(state), records_(records), options_(options), pins_(state.root()) {}

  PruneResult run(const Inventory* measured) {
    for (const auto& name : unnamed_to_go(state_, options_)) {
      without_.insert(name.name);
      const std::string id = read_stored_image(state_.content(), name.target).id().str();
      add({UsageType::image, id, 0, name.created_at, "it has no name", {}});
    }
    add_leftovers();
    Inventory inventory =
        take_inventory(state_, records_, {.measure = measured == nullptr, .without = without_});
    if (measured) {
      for (auto& [id, layer] : inventory.layers) {
        const auto known = measured->layers.find(id);
        if (known != measured->layers.end()) layer.bytes = known->second.bytes;
      }
    }
    const PrunePlan plan = plan_prune(state_.root(), inventory, pins_, options_);
    for (const auto& path : plan.paths) {
      add({path.type, base_name(path.path), path.bytes, path.last_used, path.why, {}});
    }
    add_layers(inventory, plan);
    add_blobs(inventory, plan);
    out_.cache = plan.cache_before;
    out_.kept = plan.kept;
    return std::move(out_);
  }

 private:
  void add(Eviction eviction) { out_.evicted.push_back(std::move(eviction)); }

  void add_leftovers() {
    for (const auto& [name, bytes] : abandoned_files(state_)) {
      add({UsageType::temporary, name, bytes, 0, "its process is gone", {}});
    }
    if (!is_wanted(options_, UsageType::temporary)) return;
    std::vector<std::string> orphans;
    state_.database().transaction([&] { orphans = unknown_layer_files(state_); });
    for (const auto& name : orphans) {
      add({UsageType::temporary,
           name,
           path_bytes(state_.root() + "/" + name),
           0,
           "a process that was killed left it",
           {}});
    }
  }

  void add_layers(const Inventory& inventory, const PrunePlan& plan) {
    auto descriptions = layer_descriptions(inventory);
    for (const auto& [id, why] : plan.layers) {
      const KnownLayer& layer = inventory.layers.at(id);
      add({UsageType::layer, layer_name(id), layer.bytes, layer.last_used, why, descriptions[id]});
    }
  }

  void add_blobs(const Inventory& inventory, const PrunePlan& plan) {
    if (!is_wanted(options_, UsageType::blob) && !is_wanted(options_, UsageType::layer)) return;
    std::set<Digest> known;
    for (const auto& [id, layer] : inventory.layers) {
      if (!plan.layers.contains(id)) known.insert(layer.blobs.begin(), layer.blobs.end());
    }
    const Inventory after =
        take_inventory(state_, records_,
                       {.without = without_, .without_resolutions = takes_all_content(options_)});
    const auto others = state_.layers().oldest_other_start();
    for (const auto& [digest, blob] : after.blobs) {
      if (is_young(blob.changed_at, others) || after.needed_blobs.contains(digest) ||
          known.contains(digest)) {
        continue;
      }
      add({UsageType::blob,
           digest.str(),
           blob.bytes,
           blob.changed_at / 1000,
           "no image or layer needs it",
           {}});
    }
  }

  StateDir& state_;
  GcRecords& records_;
  const PruneOptions& options_;
  PinCheck pins_;
  std::set<std::string> without_;
  PruneResult out_;
};

bool has_labels(StateDir& state, const Descriptor& target,
                const std::vector<LabelFilter>& filters) {
  if (filters.empty()) return true;
  const StoredImage image = read_stored_image(state.content(), target);
  const StoredManifest* shown = image.for_platform(Platform::host());
  const std::map<std::string, std::string> none;
  const auto& labels = shown ? shown->config.config.labels : none;
  return std::all_of(filters.begin(), filters.end(), [&](const LabelFilter& filter) {
    const auto found = labels.find(filter.key);
    const bool has = found != labels.end() && (!filter.value || *filter.value == found->second);
    return has != filter.absent;
  });
}

/// Whether it is made of layers of the cache, for want of blobs. One that was loaded has those, and
/// could not be made again.
bool is_lazy(StateDir& state, const Descriptor& target) {
  const StoredImage image = read_stored_image(state.content(), target);
  return std::any_of(image.manifests.begin(), image.manifests.end(), [&](const auto& one) {
    const auto& layers = one.manifest.layers;
    return std::any_of(layers.begin(), layers.end(),
                       [&](const Descriptor& layer) { return !state.content().has(layer.digest); });
  });
}

}  // namespace

std::vector<ImageName> unnamed_to_go(StateDir& state, const PruneOptions& options) {
  std::vector<ImageName> out;
  const bool all = is_wanted(options, UsageType::image) && !options.lazy_images;
  if (!all && !options.lazy_images) return out;
  for (auto& name : state.images().list()) {
    if (!is_unnamed(name.name) || name.name == options.unnamed_to_keep) continue;
    if (all ? has_labels(state, name.target, options.labels) : is_lazy(state, name.target)) {
      out.push_back(std::move(name));
    }
  }
  return out;
}

bool takes_all_content(const PruneOptions& options) {
  const bool narrowed =
      !options.ids.empty() || !options.descriptions.empty() || !options.labels.empty();
  return options.all && !options.is_limited() && !narrowed &&
         is_wanted(options, UsageType::layer) && is_wanted(options, UsageType::blob);
}

PruneResult forecast_prune(StateDir& state, GcRecords& records, const PruneOptions& options,
                           const Inventory* measured) {
  return Forecast(state, records, options).run(measured);
}

}  // namespace lade
