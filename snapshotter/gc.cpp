// What goes, in which order, and how it is removed.
#include "snapshotter/gc.hpp"

#include <algorithm>
#include <functional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/gc_inventory.hpp"
#include "snapshotter/pins.hpp"
#include "snapshotter/stored_image.hpp"

namespace lade {
namespace {

constexpr std::string_view kSchema = R"(
CREATE TABLE IF NOT EXISTS evictions(
  at INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, bytes INTEGER NOT NULL,
  last_used INTEGER NOT NULL, reason TEXT NOT NULL, description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS measured(
  one INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes INTEGER NOT NULL);
)";

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

/// What was chosen to go.
struct Plan {
  std::set<Digest> records;
  std::map<LayerId, std::string> layers;  ///< why
  std::vector<std::pair<Unit, std::string>> paths;
};

class Prune {
 public:
  Prune(StateDir& state, GcRecords& records, const PruneOptions& options)
      : state_(state), records_(records), options_(options), pins_(state.root()) {}

  std::vector<Eviction> run() {
    const int64_t started = now_ms();
    remove_unnamed_images();
    sweep();
    inventory_ = take_inventory(state_, records_, true);
    choose_unreferenced();
    choose_by_policy();
    remove_layers();
    remove_paths();
    remove_blobs();
    remember();
    if (options_.max_storage) remember_total(started);
    return std::move(evicted_);
  }

 private:
  bool wanted(UsageType type) const {
    return options_.types.empty() || options_.types.contains(type);
  }

  // -- what nothing refers to

  void remove_unnamed_images() {
    if (!wanted(UsageType::image)) return;
    for (const auto& name : state_.images().list()) {
      if (!is_unnamed(name.name) || !has_labels(name.target)) continue;
      state_.images().remove(name.name);
      evicted_.push_back(
          {UsageType::image, name.target.digest.str(), 0, name.created_at, "it had no name", {}});
    }
  }

  bool has_labels(const Descriptor& target) const {
    if (options_.labels.empty()) return true;
    const StoredImage image = read_stored_image(state_.content(), target);
    const StoredManifest* shown = image.for_platform(Platform::host());
    const std::map<std::string, std::string> none;
    const auto& labels = shown ? shown->config.config.labels : none;
    return std::all_of(
        options_.labels.begin(), options_.labels.end(), [&](const LabelFilter& filter) {
          const auto found = labels.find(filter.key);
          const bool has =
              found != labels.end() && (!filter.value || *filter.value == found->second);
          return has != filter.absent;
        });
  }

  /// Files without rows, which a kill has left.
  void sweep() {
    state_.layers().prepare();  // sweeps tmp/, and goes at once
    if (!wanted(UsageType::temporary)) return;
    std::vector<std::string> orphans;
    state_.database().transaction([&] { orphans = unknown_layer_files(state_); });
    // Their numbers are never given out again, but for one whose transaction was rolled back.
    for (const auto& name : orphans) remove_orphan(state_.root() + "/" + name);
    sweep_step_locks();
  }

  void remove_orphan(const std::string& path) {
    state_.database().transaction([&] {
      const std::string name = base_name(path);
      auto row = state_.database().prepare("SELECT id FROM layers");
      while (row.step()) {
        if (layer_name(row.integer(0)) == name) return;
      }
      const uint64_t bytes = path_bytes(path);
      if (path.find("/layers/") != std::string::npos) {
        discard_directory(state_, path);
      } else {
        ::unlink(path.c_str());
      }
      evicted_.push_back({UsageType::temporary,
                          path.substr(state_.root().size() + 1),
                          bytes,
                          0,
                          "a process that was killed left it",
                          {}});
    });
  }

  /// Of steps whose owner was killed: as a dying owner would, with the lock held.
  void sweep_step_locks() {
    const UniqueFd dir = sys::open(state_.locks(), O_RDONLY | O_DIRECTORY);
    for (const auto& name : sys::list_dir(dir.get())) {
      if (!name.starts_with("step-")) continue;
      const auto lock = sys::try_openat(dir.get(), name, O_RDWR | O_NOFOLLOW);
      if (!lock || ::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) continue;
      const auto there = sys::lstatat(dir.get(), name);
      if (there && there->st_ino == sys::fstat(lock->get()).st_ino) {
        ::unlinkat(dir.get(), name.c_str(), 0);
      }
    }
  }

  void choose_unreferenced() {
    if (!wanted(UsageType::layer)) return;
    for (const auto& [id, layer] : inventory_.layers) {
      if (layer.records == 0 && !layer.of_base && !layer.flattened) {
        take_layer(id, "no record or image needs it");
      }
    }
  }

  // -- the policy

  void choose_by_policy() {
    const bool any =
        options_.all || options_.unused_since || options_.keep_storage || options_.max_storage;
    if (!any) return;
    for (const auto& [id, layer] : inventory_.layers) {
      if (plan_.layers.contains(id)) continue;
      for (const auto& blob : layer.blobs) ++blob_users_[blob];
      cache_ += layer.bytes;
    }
    for (const auto& [digest, users] : blob_users_) {
      if (!inventory_.image_blobs.contains(digest)) cache_ += inventory_.blobs.at(digest).bytes;
    }
    std::vector<Unit> units = cache_units();
    for (const auto& unit : units) cache_ += unit.bytes;
    total_ = options_.max_storage ? path_bytes(state_.root()) : 0;
    for (const auto& [id, why] : plan_.layers)
      total_ -= std::min(total_, inventory_.layers[id].bytes);
    std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
      return a.last_used != b.last_used ? a.last_used < b.last_used : a.depth > b.depth;
    });
    for (const auto& unit : units) {
      const std::string why = is_selected(unit) ? reason(unit) : "";
      if (!why.empty()) take(unit, why);
    }
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
    if (options_.keep_storage && cache_ > *options_.keep_storage) {
      return fmt::format("the cache took {} bytes, {} are kept; it was used least recently", cache_,
                         *options_.keep_storage);
    }
    if (options_.max_storage && total_ > *options_.max_storage) {
      return fmt::format(
          "the state directory took {} bytes of at most {}; it was used least "
          "recently",
          total_, *options_.max_storage);
    }
    const bool limited = options_.unused_since || options_.keep_storage || options_.max_storage;
    return options_.all && !limited ? "the whole cache was to go" : "";
  }

  std::vector<Unit> cache_units() const {
    std::vector<Unit> units;
    if (wanted(UsageType::layer)) {
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
        if (!layer.of_base && !layer.flattened) continue;
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
    if (!wanted(type)) return;
    for (const auto& one : locked_directories(state_.root() + parent)) {
      if (one.in_use) continue;
      Unit unit;
      unit.kind = Unit::Kind::directory;
      unit.last_used = one.last_used;
      unit.type = type;
      unit.path = state_.root() + parent + "/" + one.name;
      unit.bytes = one.bytes;
      units.push_back(std::move(unit));
    }
  }

  void add_stat_caches(std::vector<Unit>& units) const {
    if (!wanted(UsageType::stat_cache)) return;
    const std::string parent = state_.root() + "/stat-cache";
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
      if (inventory_.layers[unit.layer].records == 0) take_layer(unit.layer, why);
    } else {
      plan_.paths.emplace_back(unit, why);
      freed(unit.bytes);
    }
  }

  void take_record(const GcRecord& record, const std::string& why) {
    // Somebody holds what it gives: it is wanted.
    if (!record.layers.empty() && pins_.is_pinned(record.layers.back())) return;
    plan_.records.insert(record.key);
    for (const LayerId id : record.layers) {
      const auto layer = inventory_.layers.find(id);
      if (layer == inventory_.layers.end() || --layer->second.records > 0) continue;
      if (!layer->second.of_base) take_layer(id, why);
    }
  }

  void take_layer(LayerId id, const std::string& why) {
    if (plan_.layers.contains(id) || pins_.is_pinned(id)) return;
    plan_.layers[id] = why;
    const KnownLayer& layer = inventory_.layers[id];
    freed(layer.bytes);
    for (const auto& blob : layer.blobs) {
      const auto users = blob_users_.find(blob);
      if (users == blob_users_.end() || --users->second > 0) continue;
      if (!inventory_.image_blobs.contains(blob)) freed(inventory_.blobs.at(blob).bytes);
    }
  }

  void freed(uint64_t bytes) {
    cache_ -= std::min(cache_, bytes);
    total_ -= std::min(total_, bytes);
  }

  // -- removal

  /// Rows first, in one transaction, of layers that nobody can get hold of meanwhile.
  void remove_layers() {
    std::set<LayerId> claimed;
    for (const auto& [id, why] : plan_.layers) {
      if (pins_.try_claim(id)) claimed.insert(id);
    }
    std::vector<LayerId> gone;
    state_.database().transaction([&] {
      std::vector<Digest> keys;
      std::set<LayerId> needed;
      for (const auto& record : records_.list()) {
        const bool chosen = plan_.records.contains(record.key);
        const bool held = !record.layers.empty() && plan_.layers.contains(record.layers.back()) &&
                          !claimed.contains(record.layers.back());
        if (chosen && !held) {
          keys.push_back(record.key);
        } else {
          needed.insert(record.layers.begin(), record.layers.end());
        }
      }
      records_.remove(keys);
      for (const LayerId id : claimed) {
        if (needed.contains(id)) continue;
        state_.database().prepare("DELETE FROM layers WHERE id = ?").bind(id).run();
        gone.push_back(id);
      }
      describe(gone);
      if (options_.all && options_.types.empty() && !options_.unused_since &&
          !options_.keep_storage && !options_.max_storage) {
        state_.database().execute("DELETE FROM resolutions");
      }
    });
    pins_.release();
    for (const LayerId id : gone) {
      discard_directory(state_, state_.root() + "/layers/" + layer_name(id));
      ::unlink((state_.root() + "/index/" + layer_name(id)).c_str());
    }
  }

  void describe(const std::vector<LayerId>& gone) {
    auto descriptions = layer_descriptions(inventory_);
    for (const LayerId id : gone) {
      const KnownLayer& layer = inventory_.layers[id];
      evicted_.push_back({UsageType::layer, layer_name(id), layer.bytes, layer.last_used,
                          plan_.layers.at(id), descriptions[id]});
    }
  }

  void remove_paths() {
    for (const auto& [unit, why] : plan_.paths) {
      if (unit.kind == Unit::Kind::directory) {
        // Whoever uses it holds its lock, which stays: a removed one could be held twice.
        const UniqueFd lock = sys::open(unit.path + ".lock", O_RDWR | O_CREAT, 0600);
        if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
        discard_directory(state_, unit.path);
      } else if (::unlink(unit.path.c_str()) != 0) {
        continue;
      }
      evicted_.push_back({unit.type, base_name(unit.path), unit.bytes, unit.last_used, why, {}});
    }
  }

  /// Blobs that no image and no layer needs. One that is younger than any process at work may be
  /// about to be named by it.
  void remove_blobs() {
    if (!wanted(UsageType::blob) && !wanted(UsageType::layer)) return;
    const int64_t oldest = pins_.oldest_start() - kFileTimeSlackMs;
    state_.database().transaction([&] {
      const Inventory now = take_inventory(state_, records_, false);
      for (const auto& [digest, blob] : now.blobs) {
        if (now.needed_blobs.contains(digest) || blob.changed_at >= oldest ||
            state_.layers().knows_blob(digest)) {
          continue;
        }
        state_.content().remove(digest);
        evicted_.push_back({UsageType::blob,
                            digest.str(),
                            blob.bytes,
                            blob.changed_at / 1000,
                            "no image or layer needs it",
                            {}});
      }
    });
  }

  void remember_total(int64_t started) {
    state_.database().transaction([&] {
      state_.database().execute(std::string(kSchema));
      state_.database()
          .prepare("INSERT OR REPLACE INTO measured VALUES(1, ?, ?)")
          .bind(started)
          .bind(static_cast<int64_t>(total_))
          .run();
    });
  }

  void remember() {
    if (evicted_.empty()) return;
    Database& database = state_.database();
    database.transaction([&] {
      database.execute(std::string(kSchema));
      database.execute("DELETE FROM evictions");
      const int64_t now = now_seconds();
      for (const auto& one : evicted_) {
        database.prepare("INSERT INTO evictions VALUES(?, ?, ?, ?, ?, ?, ?)")
            .bind(now)
            .bind(usage_name(one.type))
            .bind(std::string_view(one.id))
            .bind(static_cast<int64_t>(one.bytes))
            .bind(one.last_used)
            .bind(std::string_view(one.reason))
            .bind(std::string_view(one.description))
            .run();
      }
    });
  }

  StateDir& state_;
  GcRecords& records_;
  const PruneOptions& options_;
  PinCheck pins_;
  Inventory inventory_;
  std::map<Digest, size_t> blob_users_;
  uint64_t cache_ = 0;  ///< bytes that the cache takes, less what was chosen
  uint64_t total_ = 0;  ///< bytes of the state directory, less what was chosen
  Plan plan_;
  std::vector<Eviction> evicted_;
};

struct UsageName {
  UsageType type;
  std::string_view name;
};
constexpr UsageName kUsageNames[] = {
    {UsageType::image, "image"},
    {UsageType::layer, "layer"},
    {UsageType::blob, "blob"},
    {UsageType::cache_mount, "cache-mount"},
    {UsageType::git, "git"},
    {UsageType::context, "context"},
    {UsageType::stat_cache, "stat-cache"},
    {UsageType::temporary, "temporary"},
    {UsageType::database, "database"},
};

}  // namespace

std::string_view usage_name(UsageType type) {
  for (const auto& one : kUsageNames) {
    if (one.type == type) return one.name;
  }
  return "";
}

std::optional<UsageType> usage_type(std::string_view name) {
  for (const auto& one : kUsageNames) {
    if (one.name == name) return one.type;
  }
  return std::nullopt;
}

std::vector<Eviction> prune(StateDir& state, GcRecords& records, const PruneOptions& options) {
  return Prune(state, records, options).run();
}

bool is_known_within(StateDir& state, uint64_t bytes) {
  Database& database = state.database();
  const auto lock = database.lock();
  if (!database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'measured'").step()) return false;
  auto row = database.prepare("SELECT at, bytes FROM measured");
  if (!row.step() || static_cast<uint64_t>(row.integer(1)) > bytes) return false;
  // A new layer or blob is a new name in one of these; what a step writes into a cache mount comes
  // with a new layer.
  for (const char* dir : {"/layers", "/blobs/sha256"}) {
    const auto info = sys::lstatat(AT_FDCWD, state.root() + dir);
    if (!info) return false;
    const int64_t changed = info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1'000'000;
    if (changed + kFileTimeSlackMs >= row.integer(0)) return false;
  }
  return true;
}

std::vector<Eviction> last_evictions(StateDir& state, int64_t& at) {
  Database& database = state.database();
  database.transaction([&] { database.execute(std::string(kSchema)); });
  std::vector<Eviction> out;
  auto row =
      database.prepare("SELECT at, type, id, bytes, last_used, reason, description FROM evictions");
  while (row.step()) {
    at = row.integer(0);
    out.push_back({usage_type(row.text(1)).value_or(UsageType::layer), row.text(2),
                   static_cast<uint64_t>(row.integer(3)), row.integer(4), row.text(5),
                   row.text(6)});
  }
  return out;
}

}  // namespace lade
