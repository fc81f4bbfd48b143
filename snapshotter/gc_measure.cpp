// What takes how much.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/sys.hpp"
#include "snapshotter/gc_inventory.hpp"
#include "snapshotter/pins.hpp"
#include "snapshotter/stored_image.hpp"

namespace lade {
namespace {

class Measure {
 public:
  Measure(StateDir& state, GcRecords& records)
      : state_(state), inventory_(take_inventory(state, records, true)), pins_(state.root()) {}

  std::vector<UsageItem> run() {
    add_blobs();
    add_layers();
    add_locked(UsageType::cache_mount, "/cache-mounts");
    add_locked(UsageType::git, "/git");
    add_locked(UsageType::context, "/contexts");
    add_files(UsageType::stat_cache, "/stat-cache");
    add_files(UsageType::temporary, "/tmp");
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
  void add_blobs() {
    std::map<Digest, std::string> names;
    std::map<Digest, size_t> users;
    std::map<Digest, int64_t> named_at;
    for (const auto& name : inventory_.images) {
      visit_image_blobs(state_.content(), name.target, [&](const Descriptor& blob) {
        names.emplace(blob.digest, name.name);
        ++users[blob.digest];
        named_at[blob.digest] = std::max(named_at[blob.digest], name.created_at);
      });
    }
    for (const auto& [digest, blob] : inventory_.blobs) {
      const bool of_image = inventory_.image_blobs.contains(digest);
      UsageItem item;
      item.type = of_image ? UsageType::image : UsageType::blob;
      item.id = digest.str();
      item.bytes = blob.bytes;
      item.last_used = of_image ? named_at[digest] : blob.changed_at / 1000;
      item.reclaimable = !inventory_.needed_blobs.contains(digest);
      item.users = users[digest];
      item.description = names[digest];
      out_.push_back(std::move(item));
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
      item.reclaimable = !item.in_use && !layer.sole_of_name;
      item.users = layer.records;
      item.description = descriptions[id];
      if (item.description.empty()) {
        item.description = layer.flattened ? "several layers in one"
                           : layer.of_base ? "of an image"
                                           : "";
      }
      out_.push_back(std::move(item));
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
      item.reclaimable = !one.in_use;
      out_.push_back(std::move(item));
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
      item.reclaimable = !item.in_use;
      out_.push_back(std::move(item));
    }
  }

  StateDir& state_;
  Inventory inventory_;
  PinCheck pins_;
  std::vector<UsageItem> out_;
};

}  // namespace

std::vector<UsageItem> measure_usage(StateDir& state, GcRecords& records) {
  return Measure(state, records).run();
}

}  // namespace lade
