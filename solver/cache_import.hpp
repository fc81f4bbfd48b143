// Caches of other machines (--cache-from): records are looked up in memory; layers become known to
// the layer store when a record is hit, and their blobs are fetched when something needs them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "registry/cache_storage.hpp"
#include "snapshotter/content/cache_document.hpp"
#include "snapshotter/state.hpp"
#include "solver/record.hpp"

namespace lade {

/// The caches of one build, asked in their order. Thread-safe.
class CacheImports {
 public:
  struct Origin {
    std::string name;  ///< for people and records: "registry:host/repo:tag"
    std::shared_ptr<CacheStorage> storage;
    bool mounts = false;  ///< its cache mounts are wanted, too
    bool may_be_new =
        false;  ///< the build writes it, too: nobody wonders that nothing is there yet
  };
  CacheImports(StateDir& state, std::vector<Origin> origins);

  /// Reads the documents of all origins, side by side. One that cannot be read is told to `warn`
  /// and left out, and so is one that has nothing yet, unless it may be new. Blocks. Call it once,
  /// before the rest.
  void load(const std::function<void(const std::string&)>& warn);

  /// The record of a definition key. Its inputs are not filled in.
  std::optional<CacheRecord> find(const Digest& key);
  /// Whether records of this op are there: only then inputs' contents matter.
  bool has_op(const Digest& op) const;
  /// A record of `op` whose inputs had these contents. `content(i)` gives that of input i, and is
  /// asked only for what candidates agree on so far.
  std::optional<CacheRecord> find_content(const Digest& op, size_t inputs,
                                          const std::function<Digest(size_t)>& content);

  /// Where the layer's blob can be had; null if no origin lists it.
  std::shared_ptr<BlobProvider> provider_of(LayerId layer);
  /// What the origin's document says of the inputs of a record that came from there.
  std::vector<Digest> inputs_of(const std::string& origin, const Digest& key) const;

  /// A cache mount's tree, as an origin has it.
  struct Mount {
    std::string origin;
    Descriptor blob;
    std::shared_ptr<BlobProvider> provider;
  };
  /// The first that an origin whose mounts are wanted has. `id` is the digest of the mount's.
  std::optional<Mount> mount(const Digest& id) const;
  /// That of one origin, wanted or not.
  std::optional<Mount> mount_of(const std::string& origin, const Digest& id) const;

  /// From now on no record that stands on `layer` is found, here or in the local cache. False if no
  /// origin lists the layer.
  bool distrust(LayerId layer);

 private:
  struct Loaded;
  struct Place {
    size_t origin = 0;
    uint32_t index = 0;
  };
  static std::optional<Mount> mount_in(const Loaded& loaded, const Digest& id);
  std::optional<CacheRecord> take(Place place);
  std::optional<LayerId> layer_at(Loaded& loaded, uint32_t index);

  StateDir& state_;
  mutable std::mutex mutex_;  // guards what is below
  std::vector<std::shared_ptr<Loaded>> origins_;
  std::map<Digest, std::vector<Place>> by_key_;
  std::map<Digest, std::vector<Place>> by_op_;
  std::map<Digest, std::shared_ptr<BlobProvider>> blobs_;
  std::set<LayerId> lost_;
};

}  // namespace lade
