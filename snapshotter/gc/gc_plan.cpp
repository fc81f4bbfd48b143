// What goes, in which order.
#include "snapshotter/gc/gc_plan.hpp"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

/// Something that can be let go by itself.
struct Unit {
  enum class Kind { record, layer, directory, file } kind = Kind::record;
  int64_t last_used = 0;
  size_t depth = 0;  ///< of those as old as each other, what lies on top goes first
  size_t record = 0;
  LayerId layer = 0;
  UsageType type = UsageType::layer;
  std::string path;
  uint64_t bytes = 0;  ///< directory, file
};

class Planner {
 public:
  Planner(const std::string& root, const Inventory& inventory, const PinCheck& pins,
          const PruneOptions& options)
      : root_(root), inventory_(inventory), pins_(pins), options_(options) {
    for (const auto& [id, layer] : inventory_.layers) users_[id] = layer.records;
  }

  PrunePlan run() {
    choose_unreferenced();
    choose_by_policy();
    return std::move(plan_);
  }

 private:
  void choose_unreferenced() {
    if (!is_wanted(options_, UsageType::layer)) return;
    for (const auto& [id, layer] : inventory_.layers) {
      if (layer.records == 0 && !layer.of_base && !layer.flattened && !layer.sole_form) {
        take_layer(id, kUnneeded);
      }
    }
  }

  void choose_by_policy() {
    if (!options_.all && !options_.is_limited()) return;
    for (const auto& [id, layer] : inventory_.layers) {
      if (plan_.layers.contains(id) || layer.sole_form) continue;
      for (const auto& blob : layer.blobs) ++blob_users_[blob];
      cache_ += layer.bytes;
    }
    for (const auto& [digest, users] : blob_users_) {
      if (!inventory_.image_blobs.contains(digest)) cache_ += inventory_.blobs.at(digest).bytes;
    }
    std::vector<Unit> units = cache_units();
    for (const auto& unit : units) cache_ += unit.bytes;
    plan_.total = options_.max_storage ? path_bytes(root_) : 0;
    plan_.cache_before = cache_;
    if (options_.keep_storage) {
      plan_.kept = options_.keep_storage->kept_bytes(cache_, disk_space(root_));
    }
    for (const auto& [id, why] : plan_.layers) {
      plan_.total -= std::min(plan_.total, inventory_.layers.at(id).bytes);
    }
    std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
      return a.last_used != b.last_used ? a.last_used < b.last_used : a.depth > b.depth;
    });
    for (const auto& unit : units) {
      const std::string why = is_selected(unit) ? reason(unit) : "";
      if (!why.empty()) take(unit, why);
    }
    plan_.cache = cache_;
  }

  /// Whether the filters leave it.
  bool is_selected(const Unit& unit) const {
    const auto wants_label = [](const LabelFilter& filter) { return !filter.absent; };
    if (std::any_of(options_.labels.begin(), options_.labels.end(), wants_label)) return false;
    std::string id = base_name(unit.path);
    std::string description;
    if (unit.kind == Unit::Kind::layer) id = layer_name(unit.layer);
    if (unit.kind == Unit::Kind::record) {
      const GcRecord& record = inventory_.records[unit.record];
      id = record.layers.empty() ? "" : layer_name(record.layers.back());
      description = record.description;
    }
    const auto any_of = [](const std::vector<std::string>& texts, auto matches) {
      return texts.empty() || std::any_of(texts.begin(), texts.end(), matches);
    };
    return any_of(options_.ids, [&](const std::string& text) { return id.starts_with(text); }) &&
           any_of(options_.descriptions, [&](const std::string& text) {
             return description.find(text) != std::string::npos;
           });
  }

  std::string reason(const Unit& unit) const {
    if (options_.unused_since && unit.last_used < *options_.unused_since) {
      return "it was not used for long enough";
    }
    if (options_.keep_storage && cache_ > plan_.kept) {
      return fmt::format("the cache took {} bytes, {} are kept; it was used least recently", cache_,
                         plan_.kept);
    }
    if (options_.max_storage && plan_.total > *options_.max_storage) {
      return fmt::format(
          "the state directory took {} bytes of at most {}; it was used least "
          "recently",
          plan_.total, *options_.max_storage);
    }
    return options_.all && !options_.is_limited() ? "the whole cache was to go" : "";
  }

  std::vector<Unit> cache_units() const {
    std::vector<Unit> units;
    if (is_wanted(options_, UsageType::layer)) {
      for (size_t i = 0; i < inventory_.records.size(); ++i) {
        const GcRecord& record = inventory_.records[i];
        const auto top = record.layers.empty() ? inventory_.layers.end()
                                               : inventory_.layers.find(record.layers.back());
        Unit unit;
        unit.last_used = top == inventory_.layers.end() ? record.created_at : top->second.last_used;
        unit.depth = record.layers.size() + 1;
        unit.record = i;
        units.push_back(std::move(unit));
      }
      for (const auto& [id, layer] : inventory_.layers) {
        if ((!layer.of_base && !layer.flattened) || layer.sole_form) continue;
        Unit unit;
        unit.kind = Unit::Kind::layer;
        unit.last_used = layer.last_used;
        unit.layer = id;
        units.push_back(std::move(unit));
      }
    }
    add_directories(UsageType::cache_mount, "/cache-mounts", units);
    add_directories(UsageType::git, "/git", units);
    add_directories(UsageType::context, "/contexts", units);
    add_stat_caches(units);
    return units;
  }

  void add_directories(UsageType type, const std::string& parent, std::vector<Unit>& units) const {
    if (!is_wanted(options_, type)) return;
    for (const auto& one : locked_directories(root_ + parent)) {
      if (one.in_use) continue;
      Unit unit;
      unit.kind = Unit::Kind::directory;
      unit.last_used = one.last_used;
      unit.type = type;
      unit.path = root_ + parent + "/" + one.name;
      unit.bytes = one.bytes;
      units.push_back(std::move(unit));
    }
  }

  void add_stat_caches(std::vector<Unit>& units) const {
    if (!is_wanted(options_, UsageType::stat_cache)) return;
    const std::string parent = root_ + "/stat-cache";
    const auto dir = sys::try_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
    if (!dir) return;
    for (const auto& name : sys::list_dir(dir->get())) {
      const auto info = sys::lstatat(dir->get(), name);
      if (!info || !S_ISREG(info->st_mode)) continue;
      Unit unit;
      unit.kind = Unit::Kind::file;
      unit.last_used = info->st_mtim.tv_sec;
      unit.type = UsageType::stat_cache;
      unit.path = parent + "/" + name;
      unit.bytes = tree_bytes(dir->get(), name);
      units.push_back(std::move(unit));
    }
  }

  void take(const Unit& unit, const std::string& why) {
    if (unit.kind == Unit::Kind::record) {
      take_record(inventory_.records[unit.record], why);
    } else if (unit.kind == Unit::Kind::layer) {
      // A layer may lie in stacks without this one that were used later.
      due_.insert(unit.layer);
      if (users_.at(unit.layer) == 0) take_layer(unit.layer, why);
    } else {
      plan_.paths.push_back({unit.type, unit.path, unit.kind == Unit::Kind::directory, unit.bytes,
                             unit.last_used, why});
      freed(unit.bytes);
    }
  }

  void take_record(const GcRecord& record, const std::string& why) {
    // Somebody holds what it gives: it is wanted.
    if (!record.layers.empty() && pins_.is_pinned(record.layers.back())) return;
    plan_.records.insert(record.key);
    for (const LayerId id : record.layers) {
      const auto layer = inventory_.layers.find(id);
      if (layer == inventory_.layers.end() || --users_.at(id) > 0) continue;
      if (!layer->second.of_base || due_.contains(id)) take_layer(id, why);
    }
  }

  void take_layer(LayerId id, const std::string& why) {
    const KnownLayer& layer = inventory_.layers.at(id);
    if (plan_.layers.contains(id) || pins_.is_pinned(id) || layer.sole_form) return;
    plan_.layers[id] = why;
    freed(layer.bytes);
    for (const auto& blob : layer.blobs) {
      const auto users = blob_users_.find(blob);
      if (users == blob_users_.end() || --users->second > 0) continue;
      if (!inventory_.image_blobs.contains(blob)) freed(inventory_.blobs.at(blob).bytes);
    }
  }

  void freed(uint64_t bytes) {
    cache_ -= std::min(cache_, bytes);
    plan_.total -= std::min(plan_.total, bytes);
  }

  const std::string& root_;
  const Inventory& inventory_;
  const PinCheck& pins_;
  const PruneOptions& options_;
  std::map<LayerId, size_t> users_;  ///< records that give a layer and were not chosen
  std::set<LayerId> due_;            ///< bases that go once no record gives them any more
  std::map<Digest, size_t> blob_users_;
  uint64_t cache_ = 0;  ///< bytes that the cache takes, less what was chosen
  PrunePlan plan_;
};

}  // namespace

bool is_wanted(const PruneOptions& options, UsageType type) {
  return options.types.empty() || options.types.contains(type);
}

PrunePlan plan_prune(const std::string& root, const Inventory& inventory, const PinCheck& pins,
                     const PruneOptions& options) {
  return Planner(root, inventory, pins, options).run();
}

}  // namespace lade
