// Garbage collection: what of the state directory takes how much, and what may go.
//
// Images are blobs: what a name leads to (index, manifests, configs, layers' blobs) stays as long
// as the name. Everything else is cache, which a build can make again: records with the layers that
// they gave, directories and indexes of layers, blobs of layers, cache mounts, git repositories,
// digests of the context's files. Cache goes least recently used first, and never what a running
// process holds (snapshotter/pins.hpp; cache mounts and repositories have locks of their own).
//
// A kill at any moment leaves nothing wrong: rows go in one transaction before their files, and
// files without rows are swept by the next collection.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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
  std::string id;            ///< name of a directory, digest or image
  uint64_t bytes = 0;        ///< on the disk; files with several links count once in all
  int64_t last_used = 0;     ///< seconds since 1970, within the hour
  bool in_use = false;       ///< a running process holds it
  bool reclaimable = false;  ///< `lade prune -a` takes it
  size_t users = 0;          ///< records and images that need it
  std::string description;
};

std::vector<UsageItem> measure_usage(StateDir& state, GcRecords& records);

/// An image's label that must be there, or (`absent`) must not.
struct LabelFilter {
  std::string key;
  std::optional<std::string> value;  ///< absent: any
  bool absent = false;
};

struct PruneOptions {
  bool all = false;  ///< the whole cache; otherwise what nothing refers to
  // Each also lets cache go, least recently used first:
  std::optional<int64_t> unused_since;   ///< what was last used before this time
  std::optional<uint64_t> keep_storage;  ///< until the cache takes no more bytes than this
  std::optional<uint64_t> max_storage;   ///< until the whole state directory does
  // What narrows that; what nothing refers to goes anyway, but for other types:
  std::set<UsageType> types;              ///< only these; empty: all
  std::vector<std::string> ids;           ///< cache whose ID begins with one of these
  std::vector<std::string> descriptions;  ///< cache of steps whose description has one of these
  /// Images without a name for which all hold. Cache has no labels.
  std::vector<LabelFilter> labels;
  /// What an image without a name that is to stay is kept by (unnamed_image()).
  std::string unnamed_to_keep;
};

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
};

/// Throws Error. Also works on a disk that is full (see keep_reserve()).
PruneResult prune(StateDir& state, GcRecords& records, const PruneOptions& options);

/// Whether nothing has come since the last prune() with a max_storage found the state directory to
/// take no more than `bytes`. Costs next to nothing: asked at the end of cached builds.
bool is_known_within(StateDir& state, uint64_t bytes);

/// Of the last prune() that removed something; `at`: when that was.
std::vector<Eviction> last_evictions(StateDir& state, int64_t& at);

}  // namespace lade
