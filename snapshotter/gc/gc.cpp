// How what was chosen (gc_plan.cpp) is removed, and what is remembered of that.
#include "snapshotter/gc/gc.hpp"

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
#include "snapshotter/gc/gc_forecast.hpp"
#include "snapshotter/gc/gc_inventory.hpp"
#include "snapshotter/gc/gc_plan.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/layers/file_age.hpp"
#include "snapshotter/layers/pins.hpp"
#include "snapshotter/reserve.hpp"

namespace lade {
namespace {

constexpr std::string_view kSchema = R"(
CREATE TABLE IF NOT EXISTS evictions(
  at INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, bytes INTEGER NOT NULL,
  last_used INTEGER NOT NULL, reason TEXT NOT NULL, description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS measured(
  one INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS measured_cache(
  one INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes INTEGER NOT NULL, disk_used INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS former_layers(diff_id BLOB PRIMARY KEY, bytes INTEGER NOT NULL);
)";

/// Others may have freed as many bytes as the cache has grown by: after so long it is measured.
constexpr int64_t kMeasuredForSeconds = 24 * 60 * 60;

bool has_table(Database& database, std::string_view name) {
  return database.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").bind(name).step();
}

class Prune {
 public:
  Prune(StateDir& state, GcRecords& records, const PruneOptions& options)
      : state_(state), records_(records), options_(options), pins_(state.root()) {}

  PruneResult run() {
    if (options_.lazy_images && is_within()) return result();
    const int64_t started = now_ms();
    // The database cannot commit what goes without room for its journal.
    spend_reserve(state_.root());
    remove_unnamed_images();
    sweep();
    inventory_ = take_inventory(state_, records_, {.measure = true});
    plan_ = plan_prune(state_.root(), inventory_, pins_, options_);
    // What has no rows first: on a full disk it makes room for the database's journal.
    remove_paths();
    remove_layers();
    remove_blobs();
    remember();
    if (options_.max_storage) remember_total(started);
    if (options_.keep_storage) remember_cache();
    keep_reserve(state_.root());
    return result();
  }

 private:
  bool wanted(UsageType type) const { return is_wanted(options_, type); }

  PruneResult result() {
    PruneResult out;
    out.evicted = std::move(evicted_);
    out.failures = std::move(failures_);
    out.cache = plan_.cache_before;
    out.kept = plan_.kept;
    if (!options_.max_storage) return out;
    // What was not planned, as blobs that nothing needed, is not counted off.
    out.left = plan_.total > *options_.max_storage ? path_bytes(state_.root()) : plan_.total;
    for (const auto& digest : inventory_.image_blobs) {
      const auto blob = inventory_.blobs.find(digest);
      if (blob != inventory_.blobs.end()) out.of_images += blob->second.bytes;
    }
    for (const auto& [id, layer] : inventory_.layers) {
      if (layer.sole_form) out.of_images += layer.bytes;
    }
    return out;
  }

  /// Whether the cache, lazy images and all, takes no more than it may.
  bool is_within() {
    std::set<std::string> lazy;
    for (const auto& name : unnamed_to_go(state_, options_)) lazy.insert(name.name);
    inventory_ = take_inventory(state_, records_, {.measure = true, .without = std::move(lazy)});
    plan_ = plan_prune(state_.root(), inventory_, pins_, options_);
    uint64_t unneeded = 0;
    for (const auto& [id, why] : plan_.layers) {
      if (why == kUnneeded) unneeded += inventory_.layers.at(id).bytes;
    }
    plan_.cache_before += unneeded;
    if (plan_.cache_before > plan_.kept) return false;
    plan_.cache = plan_.cache_before;
    remember_cache();
    return true;
  }

  // -- what nothing refers to

  void remove_unnamed_images() {
    for (const auto& name : unnamed_to_go(state_, options_)) {
      const std::string id = read_stored_image(state_.content(), name.target).id().str();
      state_.images().remove(name.name);
      evicted_.push_back({UsageType::image, id, 0, name.created_at, "it had no name", {}});
    }
  }

  /// Files without rows, which a kill has left.
  void sweep() {
    const std::map<std::string, uint64_t> left = abandoned_files(state_);
    state_.layers().prepare();  // sweeps tmp/, and goes at once
    for (const auto& [name, bytes] : left) {
      if (sys::lstatat(AT_FDCWD, state_.tmp() + "/" + name)) continue;
      evicted_.push_back({UsageType::temporary, name, bytes, 0, "its process is gone", {}});
    }
    if (!wanted(UsageType::temporary)) return;
    std::vector<std::string> orphans;
    state_.database().transaction([&] { orphans = unknown_layer_files(state_); });
    // Their numbers are never given out again, but for one whose transaction was rolled back.
    for (const auto& name : orphans) {
      attempt([&] { remove_orphan(state_.root() + "/" + name); });
    }
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
        state_.discard(path);
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

  // -- removal

  /// One thing that cannot be removed must not keep all others: it is reported at the end.
  template <class Body>
  bool attempt(Body&& body) {
    try {
      body();
      return true;
    } catch (const Error& error) {
      failures_.push_back(error.message());
      return false;
    }
  }

  /// Rows first, in one transaction, of layers that nobody can get hold of meanwhile.
  void remove_layers() {
    std::set<LayerId> claimed;
    for (const auto& [id, why] : plan_.layers) {
      if (pins_.try_claim(id)) claimed.insert(id);
    }
    const std::map<Digest, uint64_t> sizes = shown_sizes(claimed);
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
      remember_sizes(sizes);
      if (takes_all_content(options_)) state_.images().forget_resolutions();
    });
    pins_.release();
    for (const LayerId id : gone) {
      // Without a row what is left is an orphan, which the next collection tries again.
      attempt([&] { state_.discard(state_.root() + "/layers/" + layer_name(id)); });
      ::unlink((state_.root() + "/index/" + layer_name(id)).c_str());
    }
  }

  /// What `lade images` says of images' layers whose indexes may go now.
  std::map<Digest, uint64_t> shown_sizes(const std::set<LayerId>& layers) {
    std::map<Digest, uint64_t> out;
    for (const LayerId id : layers) {
      const KnownLayer& layer = inventory_.layers.at(id);
      if (!layer.of_base || !layer.has_directory) continue;
      try {
        out[*layer.diff_id] = state_.layers().index(id)->total_size();
      } catch (const Error&) {
        // Its directory is lost, and its size with it.
      }
    }
    return out;
  }

  void remember_sizes(const std::map<Digest, uint64_t>& sizes) {
    Database& database = state_.database();
    if (sizes.empty() && !has_table(database, "former_layers")) return;
    database.execute(std::string(kSchema));
    for (const auto& [diff_id, bytes] : sizes) {
      database.prepare("INSERT OR REPLACE INTO former_layers VALUES(?, ?)")
          .bind(diff_id)
          .bind(static_cast<int64_t>(bytes))
          .run();
    }
    std::vector<Digest> unused;
    {
      auto row = database.prepare("SELECT diff_id FROM former_layers");
      while (row.step()) {
        if (!inventory_.diff_ids.contains(row.digest(0))) unused.push_back(row.digest(0));
      }
    }
    for (const Digest& diff_id : unused) {
      database.prepare("DELETE FROM former_layers WHERE diff_id = ?").bind(diff_id).run();
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
    for (const auto& [type, path, is_directory, bytes, last_used, why] : plan_.paths) {
      if (is_directory) {
        // Whoever uses it holds its lock, which stays: a removed one could be held twice.
        const UniqueFd lock = sys::open(path + ".lock", O_RDWR | O_CREAT, 0600);
        if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
        if (!attempt([&] { state_.discard(path); })) continue;
      } else if (::unlink(path.c_str()) != 0) {
        continue;
      }
      evicted_.push_back({type, base_name(path), bytes, last_used, why, {}});
    }
  }

  /// Blobs that no image and no layer needs. One that is younger than any process at work may be
  /// about to be named by it.
  void remove_blobs() {
    if (!wanted(UsageType::blob) && !wanted(UsageType::layer)) return;
    state_.database().transaction([&] {
      const Inventory now = take_inventory(state_, records_, {});
      // Asked after the blobs were listed: who comes now has made none of them.
      const auto others = state_.layers().oldest_other_start();
      for (const auto& [digest, blob] : now.blobs) {
        if (is_young(blob.changed_at, others) || now.needed_blobs.contains(digest) ||
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
          .bind(static_cast<int64_t>(plan_.total))
          .run();
    });
  }

  void remember_cache() {
    const DiskSpace disk = disk_space(state_.root());
    state_.database().transaction([&] {
      state_.database().execute(std::string(kSchema));
      state_.database()
          .prepare("INSERT OR REPLACE INTO measured_cache VALUES(1, ?, ?, ?)")
          .bind(now_seconds())
          .bind(static_cast<int64_t>(plan_.cache))
          .bind(static_cast<int64_t>(disk.total - disk.free))
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
  PrunePlan plan_;
  std::vector<Eviction> evicted_;
  std::vector<std::string> failures_;
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

PruneResult prune(StateDir& state, GcRecords& records, const PruneOptions& options) {
  if (options.dry_run) return forecast_prune(state, records, options);
  return Prune(state, records, options).run();
}

uint64_t PruneResult::bytes() const {
  uint64_t sum = 0;
  for (const auto& one : evicted) sum += one.bytes;
  return sum;
}

std::set<UsageType> cache_types() {
  return {UsageType::layer,      UsageType::blob,      UsageType::cache_mount, UsageType::git,
          UsageType::stat_cache, UsageType::temporary, UsageType::context};
}

bool is_known_within(StateDir& state, const SpaceLimit& limit) {
  const DiskSpace disk = disk_space(state.root());
  const uint64_t used = disk.total - disk.free;
  if (used <= limit.kept_bytes(used, disk)) return true;
  Database& database = state.database();
  const auto lock = database.lock();
  if (!has_table(database, "measured_cache")) return false;
  auto row = database.prepare("SELECT at, bytes, disk_used FROM measured_cache");
  if (!row.step() || now_seconds() - row.integer(0) > kMeasuredForSeconds) return false;
  const auto cache = static_cast<uint64_t>(row.integer(1));
  const auto then = static_cast<uint64_t>(row.integer(2));
  const uint64_t kept = limit.kept_bytes(cache, disk);
  const uint64_t slack = kept / 32 * limit.slack;
  return cache <= kept + slack &&
         (used > then ? used - then : 0) <= kept - std::min(kept, cache) + slack;
}

std::optional<uint64_t> former_layer_size(StateDir& state, const DiffId& diff_id) {
  Database& database = state.database();
  const auto lock = database.lock();
  if (!has_table(database, "former_layers")) return std::nullopt;
  auto row = database.prepare("SELECT bytes FROM former_layers WHERE diff_id = ?");
  if (!row.bind(diff_id.digest).step()) return std::nullopt;
  return static_cast<uint64_t>(row.integer(0));
}

bool is_known_within(StateDir& state, uint64_t bytes) {
  Database& database = state.database();
  const auto lock = database.lock();
  if (!has_table(database, "measured")) return false;
  auto row = database.prepare("SELECT at, bytes FROM measured");
  if (!row.step() || static_cast<uint64_t>(row.integer(1)) > bytes) return false;
  // A new layer or blob is a new name in one of these; what a step writes into a cache mount comes
  // with a new layer.
  for (const char* dir : {"/layers", "/blobs/sha256"}) {
    const auto info = sys::lstatat(AT_FDCWD, state.root() + dir);
    if (!info) return false;
    if (modified_ms(*info) + kFileTimeSlackMs >= row.integer(0)) return false;
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
