// What takes how much.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/sys.hpp"
#include "snapshotter/gc/gc.hpp"
#include "snapshotter/gc/gc_forecast.hpp"
#include "snapshotter/gc/gc_inventory.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/layers/pins.hpp"

namespace lade {
namespace {

class Measure {
 public:
  Measure(StateDir& state, GcRecords& records)
      : state_(state),
        inventory_(take_inventory(state, records, {.measure = true})),
        pins_(state.root()),
        of_all_(planned(records, true)),
        of_unneeded_(planned(records, false)) {}

  std::vector<UsageItem> run() {
    add_images();
    add_blobs();
    add_layers();
    add_locked(UsageType::cache_mount, "/cache-mounts");
    add_locked(UsageType::git, "/git");
    add_locked(UsageType::context, "/contexts");
    add_files(UsageType::stat_cache, "/stat-cache");
    add_files(UsageType::temporary, "/tmp");
    add_orphans();
    UsageItem database;
    database.type = UsageType::database;
    database.id = "lade.db";
    for (const char* file : {"/lade.db", "/lade.db-wal", "/lade.db-shm", "/reserve"}) {
      database.bytes += path_bytes(state_.root() + file);
    }
    out_.push_back(std::move(database));
    return std::move(out_);
  }

 private:
  using Planned = std::set<std::pair<UsageType, std::string>>;

  Planned planned(GcRecords& records, bool all) {
    PruneOptions options;
    options.all = all;
    Planned out;
    for (const auto& one : forecast_prune(state_, records, options, &inventory_).evicted) {
      out.emplace(one.type, one.id);
    }
    return out;
  }

  void add(UsageItem item, uint64_t reclaimable_bytes, uint64_t unneeded_bytes) {
    item.reclaimable_bytes = reclaimable_bytes;
    item.unneeded_bytes = unneeded_bytes;
    item.reclaimable = of_all_.contains({item.type, item.id});
    out_.push_back(std::move(item));
  }

  /// What goes as a whole or not at all.
  void add(UsageItem item) {
    const uint64_t bytes = item.bytes;
    const bool is_unneeded = of_unneeded_.contains({item.type, item.id});
    const bool is_reclaimable = of_all_.contains({item.type, item.id});
    add(std::move(item), is_reclaimable ? bytes : 0, is_unneeded ? bytes : 0);
  }

  void add_images() {
    std::map<Digest, std::vector<ImageName>> images;  // by target
    std::vector<Digest> order;                        // those with names first
    for (const bool unnamed : {false, true}) {
      for (const auto& name : inventory_.images) {
        if (is_unnamed(name.name) != unnamed) continue;
        auto& names = images[name.target.digest];
        if (names.empty()) order.push_back(name.target.digest);
        names.push_back(name);
      }
    }
    std::set<Digest> counted;
    for (const Digest& target : order) {
      const auto& names = images.at(target);
      UsageItem item;
      item.type = UsageType::image;
      item.id = read_stored_image(state_.content(), names.front().target).id().str();
      item.users = names.size();
      uint64_t reclaimable = 0;
      uint64_t unneeded = 0;
      visit_image_blobs(state_.content(), names.front().target, [&](const Descriptor& blob) {
        const auto known = inventory_.blobs.find(blob.digest);
        if (known == inventory_.blobs.end() || !counted.insert(blob.digest).second) return;
        item.bytes += known->second.bytes;
        const std::pair key(UsageType::blob, blob.digest.str());
        if (of_all_.contains(key)) reclaimable += known->second.bytes;
        if (of_unneeded_.contains(key)) unneeded += known->second.bytes;
      });
      for (const auto& name : names) {
        item.last_used = std::max(item.last_used, name.created_at);
        item.description +=
            (item.description.empty() ? "" : ", ") + (is_unnamed(name.name) ? "<none>" : name.name);
      }
      add(std::move(item), reclaimable, unneeded);
    }
  }

  /// Of no image.
  void add_blobs() {
    for (const auto& [digest, blob] : inventory_.blobs) {
      if (inventory_.image_blobs.contains(digest)) continue;
      UsageItem item;
      item.type = UsageType::blob;
      item.id = digest.str();
      item.bytes = blob.bytes;
      item.last_used = blob.changed_at / 1000;
      add(std::move(item));
    }
  }

  void add_layers() {
    auto descriptions = layer_descriptions(inventory_);
    for (const auto& [id, layer] : inventory_.layers) {
      if (layer.bytes == 0) continue;
      UsageItem item;
      item.id = layer_name(id);
      item.bytes = layer.bytes;
      item.last_used = layer.last_used;
      item.in_use = pins_.is_pinned(id);
      item.users = layer.records;
      item.description = descriptions[id];
      if (item.description.empty()) {
        item.description = layer.flattened ? "several layers in one"
                           : layer.of_base ? "of an image"
                                           : "";
      }
      add(std::move(item));
    }
  }

  void add_locked(UsageType type, const std::string& parent) {
    for (const auto& one : locked_directories(state_.root() + parent)) {
      UsageItem item;
      item.type = type;
      item.id = one.name;
      item.bytes = one.bytes;
      item.last_used = one.last_used;
      item.in_use = one.in_use;
      add(std::move(item));
    }
  }

  void add_files(UsageType type, const std::string& parent) {
    const auto dir = sys::try_openat(AT_FDCWD, state_.root() + parent, O_RDONLY | O_DIRECTORY);
    if (!dir) return;
    for (const auto& name : sys::list_dir(dir->get())) {
      const auto info = sys::lstatat(dir->get(), name);
      if (!info) continue;
      UsageItem item;
      item.type = type;
      item.id = name;
      item.bytes = tree_bytes(dir->get(), name);
      item.last_used = info->st_mtim.tv_sec;
      item.in_use = type == UsageType::temporary && !is_abandoned(dir->get(), name);
      add(std::move(item));
    }
  }

  void add_orphans() {
    std::vector<std::string> orphans;
    state_.database().transaction([&] { orphans = unknown_layer_files(state_); });
    for (const auto& name : orphans) {
      UsageItem item;
      item.type = UsageType::temporary;
      item.id = name;
      item.bytes = path_bytes(state_.root() + "/" + name);
      item.description = "left by a process that was killed";
      add(std::move(item));
    }
  }

  StateDir& state_;
  Inventory inventory_;
  PinCheck pins_;
  Planned of_all_;       ///< what `lade prune -a` takes
  Planned of_unneeded_;  ///< what `lade prune` does
  std::vector<UsageItem> out_;
};

}  // namespace

std::vector<UsageItem> measure_usage(StateDir& state, GcRecords& records) {
  return Measure(state, records).run();
}

}  // namespace lade
