// Where shared caches are kept: a manifest under a name, and the blobs that it lists. What is in
// them is snapshotter/content/cache_document.hpp's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "registry/client.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// One cache at one place. Thread-safe; calls block. Errors as a RegistryClient's: not_found,
/// unavailable, corrupt.
class CacheStorage {
 public:
  virtual ~CacheStorage() = default;
  /// Gives the blobs; may outlive the storage. Never null.
  virtual std::shared_ptr<BlobProvider> blobs() = 0;
  /// The manifest, or the index of an image; nullopt if nothing was stored under the name yet.
  virtual std::optional<RemoteManifest> read_manifest() = 0;
  virtual bool has_blob(const Descriptor& blob) = 0;
  /// Stores a blob that `source` gives; the caller asked has_blob(). Nothing is visible under the
  /// digest before all bytes are there and were verified.
  virtual void write_blob(const Descriptor& blob, BlobProvider& source) = 0;
  /// Replaces the manifest. What it names must be there already.
  virtual void write_manifest(const Descriptor& manifest, std::string_view bytes) = 0;
};

/// A tag of a repository.
std::shared_ptr<CacheStorage> registry_cache(std::shared_ptr<RegistryClient> client,
                                             const Reference& reference);

}  // namespace lade
