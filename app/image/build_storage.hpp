// What a build does at its end to keep to the room that it may take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/progress.hpp"
#include "snapshotter/gc/gc.hpp"

namespace lade {

struct StorageLimits {
  std::optional<uint64_t> state;    ///< bytes of the state directory, images included
  std::optional<SpaceLimit> cache;  ///< what build cache may take
  std::string unnamed_to_keep;      ///< the image that was built, if it has no name
};

/// Removes build cache, least recently used first, and tells `progress` of it. Costs next to
/// nothing where nothing can have grown too large.
void keep_within(StateDir& state, const StorageLimits& limits, ProgressSink& progress);

/// "the state directory takes 25MB, ... images need 24MB", if that is so.
std::optional<std::string> over_limit(const PruneResult& result, uint64_t max_storage);

}  // namespace lade
