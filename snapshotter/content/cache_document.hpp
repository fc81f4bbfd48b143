// The document that a shared cache is: what steps produced, by key, and the blobs of the layers
// they left. Its format is described in docs/CACHE.md. It lies beside the blobs as the config of a
// manifest that lists them, so that registries keep what it names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshotter/content/descriptor.hpp"

namespace lade {

namespace media_type {
inline constexpr std::string_view kCacheDocument = "application/vnd.lade.cache.v1+json";
}

struct CacheDocument {
  /// A layer on top of others.
  struct Layer {
    std::optional<uint32_t>
        parent;  ///< index of the layer below, an earlier one; none at the bottom
    DiffId diff_id;
    Digest content;  ///< what content keys see of it
    /// Absent for layers of base images: whoever uses the cache has them from there.
    std::optional<Descriptor> blob;
  };
  struct Record {
    Digest key;  ///< the definition key, of nothing but ops and sources
    Digest op;
    /// Of each input, what content keys see of it; empty() where nobody knows.
    std::vector<Digest> inputs;
    std::optional<uint32_t> top;  ///< the result: this layer and those below it; none: no layers
    int64_t created_at = 0;       ///< seconds since 1970
  };
  std::vector<Layer> layers;
  std::vector<Record> records;

  /// Parses and checks untrusted bytes: at most 32 MiB, indexes that exist, blobs that are layers.
  /// Throws Error(corrupt); Error for a version that is not known.
  static CacheDocument parse(std::string_view bytes);
  std::string serialize() const;
};

}  // namespace lade
