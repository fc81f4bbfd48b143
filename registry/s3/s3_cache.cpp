#include "registry/s3/s3_cache.hpp"

#include <ctime>
#include <utility>

#include "base/error.hpp"
#include "snapshotter/content/manifest.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxManifest = 4u << 20;

class S3Blobs : public BlobProvider {
 public:
  S3Blobs(std::shared_ptr<S3Client> client, std::string prefix)
      : client_(std::move(client)), prefix_(std::move(prefix)) {}

  std::unique_ptr<ByteSource> open(const Descriptor& blob) override {
    return client_->open(prefix_ + blob.digest.str(), blob);
  }
  std::string where() const override { return client_->where(); }

 private:
  std::shared_ptr<S3Client> client_;
  const std::string prefix_;
};

class S3Cache : public CacheStorage {
 public:
  S3Cache(S3CacheOptions options, HttpOptions http)
      : options_(std::move(options)),
        client_(S3Client::create(options_.bucket, http)),
        blobs_(options_.prefix + options_.blobs_prefix) {}

  std::shared_ptr<BlobProvider> blobs() override {
    return std::make_shared<S3Blobs>(client_, blobs_);
  }

  std::optional<RemoteManifest> read_manifest() override {
    for (const auto& name : options_.names) {
      auto bytes = client_->get(manifest_key(name), kMaxManifest);
      if (!bytes) continue;
      RemoteManifest out;
      out.descriptor.media_type = media_type::kOciManifest;
      out.descriptor.digest = Digest::of(*bytes);
      out.descriptor.size = bytes->size();
      out.bytes = std::move(*bytes);
      return out;
    }
    return std::nullopt;
  }

  bool has_blob(const Descriptor& blob) override {
    const std::string key = blobs_ + blob.digest.str();
    const auto object = client_->head(key);
    if (!object || object->size != blob.size) return false;
    const auto age = std::chrono::seconds(std::time(nullptr) - object->modified.value_or(0));
    if (age >= options_.touch_refresh) client_->touch(key, *object);
    return true;
  }

  void write_blob(const Descriptor& blob, BlobProvider& source) override {
    client_->put_blob(blobs_ + blob.digest.str(), blob, source);
  }

  void write_manifest(const Descriptor& manifest, std::string_view bytes) override {
    for (const auto& name : options_.names) {
      client_->put(manifest_key(name), bytes, manifest.media_type);
    }
  }

 private:
  std::string manifest_key(const std::string& name) const {
    return options_.prefix + options_.manifests_prefix + name;
  }

  const S3CacheOptions options_;
  std::shared_ptr<S3Client> client_;
  const std::string blobs_;
};

}  // namespace

std::shared_ptr<CacheStorage> s3_cache(S3CacheOptions options, HttpOptions http) {
  return std::make_shared<S3Cache>(std::move(options), http);
}

}  // namespace lade
