#include "app/build_cache.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "exporter/cache_directory.hpp"

namespace lade {
namespace {

std::shared_ptr<CacheStorage> open_storage(const CachePlace& place, bool offline,
                                           std::shared_ptr<RegistryClient>& client) {
  if (place.type == CacheType::local) {
    return directory_cache(place.where, place.tag, place.digest);
  }
  if (!client) {
    RegistryOptions options;
    options.http.offline = offline;
    client = RegistryClient::create(std::move(options));
  }
  return registry_cache(client, Reference::parse(place.where));
}

}  // namespace

BuildCache::BuildCache(StateDir& state, ImageSources& images, const BuildRequest& request,
                       const CompressionOptions& compression)
    : images_(images) {
  std::shared_ptr<RegistryClient> client;
  std::vector<CacheImports::Origin> origins;
  for (const auto& place : request.cache_from) {
    origins.push_back({place.name(), open_storage(place, request.offline, client)});
  }
  if (!origins.empty()) imports_ = std::make_shared<CacheImports>(state, std::move(origins));
  for (const auto& target : request.cache_to) {
    CacheExportOptions options;
    options.name = target.place.name();
    options.all_steps = target.all_steps;
    options.reexport = target.reexport;
    options.compression = target.compression.value_or(compression);
    exports_.push_back(
        {target, std::make_unique<CacheExport>(
                     state, std::move(options), open_storage(target.place, request.offline, client),
                     provider(),
                     [&images](LayerId layer) { return images.provider_of(layer) != nullptr; })});
  }
}

LayerProvider BuildCache::provider() const {
  return [&images = images_, imports = imports_](LayerId layer) -> std::shared_ptr<BlobProvider> {
    auto provider = images.provider_of(layer);
    if (!provider && imports) provider = imports->provider_of(layer);
    return provider;
  };
}

void BuildCache::layer_made(LayerId layer, bool of_result) {
  for (auto& one : exports_) {
    if (of_result || one.target.all_steps) one.run->layer_made(layer);
  }
}

VertexNumber BuildCache::export_all(const std::vector<SharedRecord>& records,
                                    ProgressSink& progress, VertexNumber first) {
  for (auto& one : exports_) {
    const VertexNumber at = first++;
    progress.declared(at, "exporting cache to " + one.target.place.name());
    progress.started(at);
    try {
      one.run->finish(records, [&](const std::string& line) { progress.status(at, line, 0, 0); });
      progress.completed(at);
    } catch (const Error& error) {
      if (!one.target.ignore_error) {
        progress.failed(at, error.message());
        throw;
      }
      progress.status(at, "ignored: " + error.message(), 0, 0);
      progress.completed(at);
    }
  }
  return first;
}

}  // namespace lade
