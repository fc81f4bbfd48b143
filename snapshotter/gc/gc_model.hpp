// What collections are asked and what they answer.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "snapshotter/gc/space_limit.hpp"
#include "snapshotter/state.hpp"

namespace lade {

/// A record of the build cache.
struct GcRecord {
  Digest key;
  LayerStack layers;  ///< what it gives
  int64_t created_at = 0;
  std::string description;
};

/// The build cache's records, which the solver keeps.
class GcRecords {
 public:
  virtual ~GcRecords() = default;
  virtual std::vector<GcRecord> list() = 0;
  virtual void remove(const std::vector<Digest>& keys) = 0;
  /// Forgets what was found out with content digests of these layers, which were wrong.
  virtual void forget_contents(const std::vector<LayerId>& layers) = 0;
};

enum class UsageType {
  image,
  layer,
  blob,
  cache_mount,
  git,
  stat_cache,
  temporary,
  database,
  context,  ///< copies of directories of the daemon's clients
};

/// "image", "layer", "blob", "cache-mount", "git", "stat-cache", "temporary", "database",
/// "context".
std::string_view usage_name(UsageType type);
std::optional<UsageType> usage_type(std::string_view name);

/// Something that takes room.
struct UsageItem {
  UsageType type = UsageType::layer;
  std::string id;                  ///< name of a directory, digest or image
  uint64_t bytes = 0;              ///< on the disk; files with several links count once in all
  int64_t last_used = 0;           ///< seconds since 1970, within the hour
  bool in_use = false;             ///< a running process holds it
  bool reclaimable = false;        ///< `lade prune -a` takes of it
  uint64_t reclaimable_bytes = 0;  ///< ...so much
  uint64_t unneeded_bytes = 0;     ///< `lade prune` takes so much
  size_t users = 0;                ///< records and images that need it
  std::string description;
};

/// An image's label that must be there, or (`absent`) must not.
struct LabelFilter {
  std::string key;
  std::optional<std::string> value;  ///< absent: any
  bool absent = false;
};

struct PruneOptions {
  bool all = false;  ///< the whole cache; otherwise what nothing refers to
  // Each also lets cache go, least recently used first:
  std::optional<int64_t> unused_since;     ///< what was last used before this time
  std::optional<SpaceLimit> keep_storage;  ///< until the cache takes no more than this
  std::optional<uint64_t> max_storage;     ///< until the whole state directory takes no more
  // What narrows that; what nothing refers to goes anyway, but for other types:
  std::set<UsageType> types;              ///< only these; empty: all
  std::vector<std::string> ids;           ///< cache whose ID begins with one of these
  std::vector<std::string> descriptions;  ///< cache of steps whose description has one of these
  /// Images without a name for which all hold. Cache has no labels.
  std::vector<LabelFilter> labels;
  /// What an image without a name that is to stay is kept by (unnamed_image()).
  std::string unnamed_to_keep;
  /// With a keep_storage: images without a name that are made of the cache's own layers are part of
  /// it, and nothing at all goes as long as all that takes no more than it may.
  bool lazy_images = false;
  bool dry_run = false;  ///< only say what would go

  /// Whether cache goes until something is reached, rather than all of it or none.
  bool is_limited() const { return unused_since || keep_storage || max_storage; }
};

/// What builds could make again, for `types`; images are no cache.
std::set<UsageType> cache_types();

/// Something that was removed, and why.
struct Eviction {
  UsageType type = UsageType::layer;
  std::string id;
  uint64_t bytes = 0;
  int64_t last_used = 0;
  std::string reason;
  std::string description;
};

struct PruneResult {
  std::vector<Eviction> evicted;      ///< which last_evictions() then remembers
  std::vector<std::string> failures;  ///< what could not be removed and why; the rest was
  // With a max_storage:
  uint64_t left = 0;       ///< bytes that the state directory takes still
  uint64_t of_images = 0;  ///< of these, what images need
  // With a keep_storage:
  uint64_t cache = 0;  ///< bytes that the cache took
  uint64_t kept = 0;   ///< what it was to shrink to

  uint64_t bytes() const;  ///< that were freed
};

}  // namespace lade
