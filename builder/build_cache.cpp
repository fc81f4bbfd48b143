#include "builder/build_cache.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/text.hpp"
#include "builder/image_export.hpp"
#include "exporter/cache_directory.hpp"
#include "exporter/exporter.hpp"

namespace lade {

std::shared_ptr<CacheStorage> open_cache(const CachePlace& place,
                                         std::shared_ptr<RegistryClient>& client,
                                         const RegistryOptions& options) {
  if (place.type == CacheType::local) {
    return directory_cache(place.where, place.tag, place.digest);
  }
  if (place.type == CacheType::s3) return s3_cache(place.s3, options.http);
  if (place.insecure) {
    RegistryOptions insecure = options;
    insecure.insecure = true;
    return registry_cache(RegistryClient::create(std::move(insecure)),
                          Reference::parse(place.where));
  }
  if (!client) client = RegistryClient::create(options);
  return registry_cache(client, Reference::parse(place.where));
}

BuildCache::BuildCache(StateDir& state, ImageSources& images, std::shared_ptr<CacheImports> imports,
                       std::vector<CacheDestination> destinations,
                       const CompressionOptions& compression, std::vector<std::string> names)
    : images_(images), names_(std::move(names)), imports_(std::move(imports)) {
  for (auto& [target, storage] : destinations) {
    if (target.place.type == CacheType::inlined) {
      inline_ = target;
      continue;
    }
    CacheExportOptions options;
    options.name = target.place.name();
    options.all_steps = target.all_steps;
    options.reexport = target.reexport;
    options.threads = target.parallelism;
    options.mounts = target.place.mounts;
    options.known_mount = [imports = imports_,
                           name = options.name](const Digest& id) -> std::optional<Descriptor> {
      const auto mount = imports ? imports->mount_of(name, id) : std::nullopt;
      return mount ? std::optional(mount->blob) : std::nullopt;
    };
    options.restored_mount = [imports = imports_, name = options.name, all = target.reexport](
                                 const Digest& id) -> std::optional<Descriptor> {
      const auto mount = imports ? imports->mount(id) : std::nullopt;
      return mount && (all || mount->origin == name) ? std::optional(mount->blob) : std::nullopt;
    };
    options.compression = target.compression.value_or(compression);
    const auto is_base = [&images](LayerId layer) { return images.provider_of(layer) != nullptr; };
    exports_.push_back(
        {target, std::make_unique<CacheExport>(state, std::move(options), std::move(storage),
                                               provider(), is_base)});
  }
}

LayerProvider BuildCache::provider() const {
  return [&images = images_, imports = imports_](LayerId layer) -> std::shared_ptr<BlobProvider> {
    auto provider = images.provider_of(layer);
    if (!provider && imports) provider = imports->provider_of(layer);
    return provider;
  };
}

/// Whether the image goes to the repository that the record came from: who can write one of its
/// tags can write them all.
bool BuildCache::goes_back(const std::string& origin) const {
  constexpr std::string_view kRegistry = "registry:";
  if (!origin.starts_with(kRegistry)) return false;
  const std::string repository = Reference::parse(origin.substr(kRegistry.size())).name();
  const auto is_it = [&](const std::string& name) {
    return Reference::parse(name).name() == repository;
  };
  return std::any_of(names_.begin(), names_.end(), is_it);
}

std::optional<std::vector<SharedRecord>> BuildCache::inline_records(
    const std::vector<SharedRecord>& records) const {
  if (!inline_) return std::nullopt;
  std::vector<SharedRecord> out;
  for (const auto& record : records) {
    auto shared = shareable(
        record, [&](const std::string& origin) { return inline_->reexport || goes_back(origin); });
    if (shared) out.push_back(std::move(*shared));
  }
  return out;
}

void BuildCache::layer_made(LayerId layer, bool of_result) {
  for (auto& one : exports_) {
    if (of_result || one.target.all_steps) one.run->layer_made(layer);
  }
}

/// A cache that is nearly empty must not come as a surprise to those who read it.
void BuildCache::warn_of_left_out(const std::vector<SharedRecord>& records,
                                  ProgressSink& progress) const {
  const auto warn = [&](const CacheTarget& target,
                        const std::function<bool(const std::string&)>& goes_back) {
    const LeftOut out = left_out(records, target.all_steps, goes_back);
    if (out.steps == 0) return;
    progress.warning(fmt::format(
        "{} of this build came from {} and {} not in the cache {}: write it with reexport=true to "
        "have {} there",
        counted(out.steps, "step"), join({out.origins.begin(), out.origins.end()}, " and "),
        out.steps == 1 ? "is" : "are", target.place.name(), out.steps == 1 ? "it" : "them"));
  };
  for (const auto& one : exports_) {
    warn(one.target, [&](const std::string& origin) { return one.run->goes_back(origin); });
  }
  if (inline_) {
    warn(*inline_,
         [&](const std::string& origin) { return inline_->reexport || goes_back(origin); });
  }
}

std::function<void(LayerId, bool)> BuildCache::export_early(StateDir& state,
                                                            const std::vector<Output>& outputs) {
  const auto first = std::find_if(outputs.begin(), outputs.end(), needs_blobs);
  const ImageOptions* image = first == outputs.end() ? nullptr : &first->image;
  if (!image && !has_exports()) return nullptr;
  return [this, &state, image, from = provider()](LayerId layer, bool of_result) {
    if (of_result && image) prepare_layer(state, layer, *image, from);
    layer_made(layer, of_result);
  };
}

VertexNumber BuildCache::export_all(const std::vector<SharedRecord>& records,
                                    const std::vector<SharedMount>& mounts, ProgressSink& progress,
                                    VertexNumber first) {
  warn_of_left_out(records, progress);
  for (auto& one : exports_) {
    const VertexNumber at = first++;
    progress.declared(at, "exporting cache to " + one.target.place.name());
    progress.started(at);
    try {
      one.run->finish(records, mounts,
                      [&](const std::string& line) { progress.status(at, line, 0, 0); });
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
