#include "app/image/build_storage.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "app/ui/listing.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

/// After all vertices of the build and its exports.
constexpr VertexNumber kMakingRoom = 1u << 30;

PruneResult prune_cache(StateDir& state, const PruneOptions& options) {
  state.layers().release_unused();
  CollectedRecords records(state.database());
  return prune(state, records, options);
}

void keep_cache_within(StateDir& state, const SpaceLimit& limit, const std::string& unnamed_to_keep,
                       ProgressSink& progress) {
  if (is_known_within(state, limit)) return;
  PruneOptions options;
  options.types = cache_types();
  options.keep_storage = limit;
  options.lazy_images = true;
  options.unnamed_to_keep = unnamed_to_keep;
  const PruneResult result = prune_cache(state, options);
  if (result.evicted.empty()) return;
  progress.declared(kMakingRoom,
                    fmt::format("[internal] keep build cache within {}", human_size(result.kept)));
  progress.started(kMakingRoom);
  progress.status(
      kMakingRoom,
      fmt::format("it took {}: {} that were not used for longest are removed (--keep-storage)",
                  human_size(result.cache), human_size(result.bytes())),
      0, 0);
  progress.completed(kMakingRoom);
}

}  // namespace

void keep_within(StateDir& state, const StorageLimits& limits, ProgressSink& progress) {
  if (limits.cache) keep_cache_within(state, *limits.cache, limits.unnamed_to_keep, progress);
  if (!limits.state || is_known_within(state, *limits.state)) return;
  PruneOptions options;
  options.max_storage = limits.state;
  options.unnamed_to_keep = limits.unnamed_to_keep;
  const PruneResult result = prune_cache(state, options);
  if (const auto text = over_limit(result, *limits.state)) progress.warning(*text);
}

std::optional<std::string> over_limit(const PruneResult& result, uint64_t max_storage) {
  if (result.left <= max_storage) return std::nullopt;
  std::string out = fmt::format("the state directory takes {}, more than the {} of --max-storage: ",
                                human_size(result.left), human_size(max_storage));
  out += fmt::format("its images need {} (lade rmi removes them)", human_size(result.of_images));
  const uint64_t rest = result.left - std::min(result.left, result.of_images);
  if (result.of_images < max_storage) {
    out += fmt::format(", and {} are in use", human_size(rest));
  }
  return out;
}

}  // namespace lade
