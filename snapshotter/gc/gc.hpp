// Garbage collection: what of the state directory takes how much, and what may go.
//
// Images are blobs: what a name leads to (index, manifests, configs, layers' blobs) stays as long
// as the name. Everything else is cache, which a build can make again: records with the layers that
// they gave, directories and indexes of layers, blobs of layers, cache mounts, git repositories,
// digests of the context's files. Cache goes least recently used first, and never what a running
// process holds (snapshotter/layers/pins.hpp; cache mounts and repositories have locks of their
// own).
//
// A kill at any moment leaves nothing wrong: rows go in one transaction before their files, and
// files without rows are swept by the next collection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "snapshotter/gc/gc_model.hpp"

namespace lade {

/// One item for each image, layer and so on. What a collection would take is planned as prune()
/// plans it. Blobs that several images have count for the first of them.
std::vector<UsageItem> measure_usage(StateDir& state, GcRecords& records);

/// Throws Error. Also works on a disk that is full (see keep_reserve()). With `dry_run`, what would
/// go if nobody else were at work.
PruneResult prune(StateDir& state, GcRecords& records, const PruneOptions& options);

/// Whether nothing has come since the last prune() with a max_storage found the state directory to
/// take no more than `bytes`. Costs next to nothing: asked at the end of cached builds.
bool is_known_within(StateDir& state, uint64_t bytes);

/// The same of a prune() with a keep_storage and the build cache: whether it cannot have come to
/// exceed `limit`. Asks the filesystem what it holds, which no cache on it can exceed.
bool is_known_within(StateDir& state, const SpaceLimit& limit);

/// What `lade images` shows of a layer whose index is gone: the size of its files, kept when a
/// collection took it. nullopt if that was not so.
std::optional<uint64_t> former_layer_size(StateDir& state, const DiffId& diff_id);

/// Of the last prune() that removed something; `at`: when that was.
std::vector<Eviction> last_evictions(StateDir& state, int64_t& at);

}  // namespace lade
