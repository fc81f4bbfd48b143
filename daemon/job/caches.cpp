#include "daemon/job/caches.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

/// Remembers the manifest that is written, for the client to note in its index.json.
class RecordingStorage : public CacheStorage {
 public:
  RecordingStorage(std::shared_ptr<CacheStorage> inner,
                   std::shared_ptr<std::optional<Descriptor>> manifest)
      : inner_(std::move(inner)), manifest_(std::move(manifest)) {}

  std::shared_ptr<BlobProvider> blobs() override { return inner_->blobs(); }
  std::optional<RemoteManifest> read_manifest() override { return inner_->read_manifest(); }
  bool has_blob(const Descriptor& blob) override { return inner_->has_blob(blob); }
  void write_blob(const Descriptor& blob, BlobProvider& source) override {
    inner_->write_blob(blob, source);
  }
  void write_manifest(const Descriptor& manifest, std::string_view bytes) override {
    inner_->write_manifest(manifest, bytes);
    *manifest_ = manifest;
  }

 private:
  std::shared_ptr<CacheStorage> inner_;
  std::shared_ptr<std::optional<Descriptor>> manifest_;
};

CacheAttributes attributes_of(const CacheEntry& entry) {
  const auto known = {"registry", "local", "inline", "s3"};
  if (std::find(known.begin(), known.end(), entry.type) == known.end()) {
    throw Error(fmt::format("cache type {} is not supported: use registry, local, inline or s3",
                            lade::quoted(entry.type)));
  }
  CacheAttributes out = entry.attrs;
  out["type"] = entry.type;
  // The client's own business: which manifests stay in its directory.
  out.erase("reset");
  return out;
}

SessionCalls& need_session(SessionCalls* session) {
  if (!session) throw Error("type=local of a cache needs a session with the client");
  return *session;
}

}  // namespace

CacheImports::Origin open_cache_import(const CacheEntry& entry, SessionCalls* session,
                                       const RegistryOptions& registries,
                                       std::shared_ptr<RegistryClient>& client) {
  const CachePlace place = cache_source(attributes_of(entry));
  if (place.type != CacheType::local) {
    return {place.name(), open_cache(place, client, registries), place.mounts};
  }
  if (!place.digest) throw Error("a local cache is imported by its digest, which is missing");
  Descriptor manifest;
  manifest.digest = *place.digest;
  const std::string& store = entry.attrs.at("src");
  return {place.name(), need_session(session).content("local:" + store, manifest), place.mounts};
}

OpenedCacheExport open_cache_export(const CacheEntry& entry, SessionCalls* session,
                                    const RegistryOptions& registries,
                                    std::shared_ptr<RegistryClient>& client) {
  OpenedCacheExport out;
  out.manifest = std::make_shared<std::optional<Descriptor>>();
  auto& [target, storage] = out.destination;
  target = cache_target(attributes_of(entry));
  if (target.place.type == CacheType::inlined) return out;  // it goes with the image
  if (target.place.type != CacheType::local) {
    storage = open_cache(target.place, client, registries);
  } else {
    const std::string& store = entry.attrs.at("dest");
    storage = std::make_shared<RecordingStorage>(
        need_session(session).content("local:" + store, std::nullopt), out.manifest);
  }
  return out;
}

}  // namespace lade
