// The document that a shared cache is: what steps produced, by key, and the blobs of the layers
// they left. Its format is described in docs/CACHE.md. It lies beside the blobs as the config of a
// manifest that lists them, so that registries keep what it names; or, as an inline cache, in the
// config of the image that the steps made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshotter/content/descriptor.hpp"

namespace lade {

struct Manifest;

namespace media_type {
inline constexpr std::string_view kCacheDocument = "application/vnd.lade.cache.v1+json";
}

/// The member of an image config's top level that holds an inline cache.
inline constexpr std::string_view kInlineCacheMember = "vnd.lade.cache.v1";

struct CacheDocument {
  /// A layer on top of others.
  struct Layer {
    std::optional<uint32_t>
        parent;  ///< index of the layer below, an earlier one; none at the bottom
    DiffId diff_id;
    Digest content;  ///< what content keys see of it
    /// Absent for layers of base images: whoever uses the cache has them from there.
    std::optional<Descriptor> blob;
    /// Inline caches name the image's layer (an index into its diff IDs) in the place of a blob.
    std::optional<uint32_t> position{};
  };
  struct Record {
    Digest key;  ///< the definition key, of nothing but ops and sources
    Digest op;
    /// Of each input, what content keys see of it; empty() where nobody knows.
    std::vector<Digest> inputs;
    std::optional<uint32_t> top;  ///< the result: this layer and those below it; none: no layers
    int64_t created_at = 0;       ///< seconds since 1970
  };
  /// A cache mount's directory (mounts=true).
  struct Mount {
    Digest id;        ///< of the mount's id, which itself may say too much
    Descriptor blob;  ///< the tree, as a layer's tar
  };
  std::vector<Layer> layers;
  std::vector<Record> records;
  std::vector<Mount> mounts;

  /// Parses and checks untrusted bytes: at most 32 MiB, indexes that exist, stacks of at most
  /// 20,000 layers, blobs that are layers (of which media type, digest and size are read), times of
  /// people. Throws Error(corrupt); Error for a version that is not known.
  static CacheDocument parse(std::string_view bytes);
  std::string serialize() const;
  /// Adds what another document has.
  void append(CacheDocument other);
};

/// An image config (ImageConfig::serialize()) with an inline cache. What is built on the image does
/// not inherit it, as ImageConfig::parse() leaves it out.
std::string with_inline_cache(std::string config, const CacheDocument& cache);

/// The inline cache of an image with this config (untrusted bytes), its layers with the blobs that
/// the manifest lists. nullopt if it has none. Throws as CacheDocument::parse().
std::optional<CacheDocument> read_inline_cache(std::string_view config, const Manifest& manifest);

}  // namespace lade
