// A shared cache in a registry: a manifest under a tag, blobs in its repository.
#include "base/error.hpp"
#include "registry/cache_storage.hpp"

namespace lade {
namespace {

class RegistryCache : public CacheStorage {
 public:
  RegistryCache(std::shared_ptr<RegistryClient> client, Reference reference)
      : client_(std::move(client)),
        reference_(std::move(reference)),
        blobs_(client_->blobs(reference_)) {}

  std::shared_ptr<BlobProvider> blobs() override { return blobs_; }

  std::optional<RemoteManifest> read_manifest() override {
    try {
      return client_->fetch_manifest(reference_);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) return std::nullopt;
      throw;
    }
  }

  bool has_blob(const Descriptor& blob) override { return client_->has_blob(reference_, blob); }

  void write_blob(const Descriptor& blob, BlobProvider& source) override {
    client_->push_blob(reference_, blob, source);
  }

  void write_manifest(const Descriptor& manifest, std::string_view bytes) override {
    client_->push_manifest(reference_, manifest, bytes);
  }

 private:
  std::shared_ptr<RegistryClient> client_;
  Reference reference_;
  std::shared_ptr<BlobProvider> blobs_;
};

}  // namespace

std::shared_ptr<CacheStorage> registry_cache(std::shared_ptr<RegistryClient> client,
                                             const Reference& reference) {
  return std::make_shared<RegistryCache>(std::move(client), reference);
}

}  // namespace lade
