// What a garbage collection removes, and in which order. Private to this folder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "snapshotter/gc/gc_inventory.hpp"
#include "snapshotter/layers/pins.hpp"

namespace lade {

/// A file, or a directory with a lock file beside it ("PATH.lock").
struct PlannedPath {
  UsageType type = UsageType::cache_mount;
  std::string path;
  bool is_directory = false;
  uint64_t bytes = 0;
  int64_t last_used = 0;
  std::string why;
};

/// Why a layer goes that nothing refers to.
inline constexpr const char* kUnneeded = "no record or image needs it";

struct PrunePlan {
  std::set<Digest> records;
  std::map<LayerId, std::string> layers;  ///< why
  std::vector<PlannedPath> paths;
  uint64_t total = 0;  ///< bytes that the state directory will take; for max_storage only
  // For keep_storage only:
  uint64_t cache_before = 0;  ///< bytes that the cache took
  uint64_t cache = 0;         ///< that it will take
  uint64_t kept = 0;          ///< that it was to shrink to
};

/// Whether things of this type may be removed at all.
bool is_wanted(const PruneOptions& options, UsageType type);

/// Chooses what nothing refers to, then what the policy of `options` lets go, least recently used
/// first. Layers that are pinned stay, and what leads to them.
PrunePlan plan_prune(const std::string& root, const Inventory& inventory, const PinCheck& pins,
                     const PruneOptions& options);

}  // namespace lade
