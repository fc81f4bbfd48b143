// Caches of other machines (--cache-from): records are looked up in memory; layers become known to
// the layer store when a record is hit, and their blobs are fetched when something needs them.
//
// What a cache says is its word, and no more: a record is found by builds that have read a document
// that has it, a layer is known by that word (LayerClaim) until its bytes are here. Records and
// layers that outlive the build carry the claims' names; origins_of() says whether this build has
// read them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "registry/cache_storage.hpp"
#include "snapshotter/content/cache_document.hpp"
#include "snapshotter/state.hpp"
#include "solver/graph/record.hpp"
#include "solver/source/image.hpp"

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
  /// Layers of base images, which caches name without a blob, are those of `images`, which outlives
  /// this as `state` does.
  CacheImports(StateDir& state, const ImageSources& images, std::vector<Origin> origins);

  /// Reads the documents of all origins, side by side. One that cannot be read, or that has said
  /// what was found false here, is told to `warn` and left out, and so is one that has nothing yet,
  /// unless it may be new. Blocks. Before the rest; from the second call on it does nothing.
  void load(const std::function<void(const std::string&)>& warn);

  /// Records of one origin for all outputs of a vertex, by their definition keys; nullopt if no
  /// origin has all of them. Their keys and inputs are not filled in.
  std::optional<std::vector<CacheRecord>> find(const std::vector<Digest>& keys);
  /// Whether records of this op are there: only then inputs' contents matter.
  bool has_op(const Digest& op) const;
  /// A record of `op` whose inputs had these contents. `content(i)` gives that of input i, and is
  /// asked only for what candidates agree on so far.
  std::optional<CacheRecord> find_content(const Digest& op, size_t inputs,
                                          const std::function<Digest(size_t)>& content);

  /// Which origins have what a record is founded on (CacheRecord::claims): a record, or a mount's
  /// tree (restored_mount()) where mounts are wanted. And which have this layer
  /// (LayerStore::claim_of()).
  std::set<std::string> origins_of(const Digest& claim) const;
  std::set<std::string> origins_of_layer(const Digest& claim) const;

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

  /// After a layer was lost: where its bytes are not what was said of them, those who said so are
  /// not asked any more; where they were not to be had, another origin is asked for them, or no
  /// record that stands on the layer is found from now on. Then the build is to be tried again.
  /// Returns what to tell people, empty if they know; nullopt if no origin lists the layer.
  std::optional<std::string> distrust(const LostLayer& lost);

 private:
  struct Loaded;
  struct Place {
    size_t origin = 0;
    uint32_t index = 0;
  };
  struct Offer {
    size_t origin = 0;
    std::shared_ptr<BlobProvider> provider;
  };
  using Claims = std::unordered_map<Digest, std::set<size_t>>;  // by whom
  void read_all(std::vector<std::string>& problems);
  void take_in(size_t origin);
  static std::optional<Mount> mount_in(const Loaded& loaded, const Digest& id);
  const Place* first_of(const std::map<Digest, std::vector<Place>>& places, const Digest& key,
                        size_t origin) const;
  std::optional<CacheRecord> take(Place place);
  std::optional<LayerId> layer_at(Loaded& loaded, uint32_t index);
  std::set<std::string> trusted_of(const Claims& claims, const Digest& claim) const;
  Offer* offer_of(const Digest& blob);
  std::string distrust_liars(const LostLayer& lost, const Digest& claim);
  std::string ask_another(const LostLayer& lost, const Digest& blob);

  StateDir& state_;
  const ImageSources& images_;
  std::mutex load_mutex_;
  bool is_loaded_ = false;    // guarded by load_mutex_
  mutable std::mutex mutex_;  // guards what is below
  std::vector<std::shared_ptr<Loaded>> origins_;
  std::map<Digest, std::vector<Place>> by_key_;
  std::map<Digest, std::vector<Place>> by_op_;
  std::map<Digest, std::vector<Offer>> blobs_;
  Claims layer_claims_;
  Claims record_claims_;
  std::set<LayerId> lost_;
};

}  // namespace lade
