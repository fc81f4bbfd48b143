#include "solver/cache_import.hpp"

#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "snapshotter/content/manifest.hpp"
#include "solver/cache_store.hpp"
#include "solver/source/image.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxDocument = 32u << 20;
constexpr uint64_t kMaxManifest = 4u << 20;
constexpr size_t kMaxImages = 64;

/// What a manifest brings: a cache's, or an image's with an inline cache. nullopt for other images.
std::optional<CacheDocument> document_of(ContentStore& content, BlobProvider& blobs,
                                         const Manifest& manifest) {
  const Descriptor& config = manifest.config;
  if (config.media_type == media_type::kCacheDocument) {
    return CacheDocument::parse(fetch_document(content, blobs, config, kMaxDocument));
  }
  if (config.media_type == media_type::kOciConfig ||
      config.media_type == media_type::kDockerConfig) {
    return read_inline_cache(fetch_document(content, blobs, config, kMaxDocument), manifest);
  }
  throw Error(fmt::format("it is no cache of lade's: its config is {}", quoted(config.media_type)));
}

/// The document of a cache, from the content store if it is there; of an index that of all its
/// images. nullopt if nothing is there yet.
std::optional<CacheDocument> read_document(ContentStore& content, CacheStorage& storage) {
  const auto stored = storage.read_manifest();
  if (!stored) return std::nullopt;
  const auto blobs = storage.blobs();
  std::optional<CacheDocument> out;
  const auto add = [&](const std::string& bytes, const std::string& type) {
    auto one = document_of(content, *blobs, Manifest::parse(bytes, type));
    if (one && out) out->append(std::move(*one));
    if (one && !out) out = std::move(one);
  };
  const std::string& type = stored->descriptor.media_type;
  if (media_type::is_index(type)) {
    const Index index = Index::parse(stored->bytes, type);
    if (index.manifests.size() > kMaxImages) {
      throw Error(fmt::format("it is an index of more than {} images", kMaxImages));
    }
    for (const auto& entry : index.manifests) {
      // What is for no platform are attestations.
      const bool is_image = media_type::is_manifest(entry.media_type) &&
                            !(entry.platform && entry.platform->os == "unknown");
      if (is_image) add(fetch_document(content, *blobs, entry, kMaxManifest), entry.media_type);
    }
  } else {
    add(stored->bytes, type);
  }
  if (!out) {
    throw Error(
        "it is no cache of lade's, but an image that was built without --cache-to "
        "type=inline");
  }
  return out;
}

}  // namespace

struct CacheImports::Loaded {
  Origin origin;
  CacheDocument document;
  std::vector<std::optional<LayerId>> known{};  // by index into document.layers
};

CacheImports::CacheImports(StateDir& state, std::vector<Origin> origins) : state_(state) {
  for (auto& origin : origins) {
    origins_.push_back(std::make_shared<Loaded>(Loaded{std::move(origin), {}}));
  }
}

void CacheImports::load(const std::function<void(const std::string&)>& warn) {
  std::vector<std::string> problems(origins_.size());
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < origins_.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          Loaded& loaded = *origins_[i];
          auto document = read_document(state_.content(), *loaded.origin.storage);
          if (document) loaded.document = std::move(*document);
          if (!document && !loaded.origin.may_be_new) problems[i] = "there is none yet";
        } catch (const std::exception& error) {
          problems[i] = error.what();
        }
      });
    }
  }
  for (size_t i = 0; i < origins_.size(); ++i) {
    if (problems[i].empty()) continue;
    warn(fmt::format("the cache {} is not used: {}", origins_[i]->origin.name, problems[i]));
  }
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < origins_.size(); ++i) {
    Loaded& loaded = *origins_[i];
    loaded.known.resize(loaded.document.layers.size());
    const auto blobs = loaded.origin.storage->blobs();
    for (const auto& layer : loaded.document.layers) {
      if (layer.blob) blobs_.emplace(layer.blob->digest, blobs);
    }
    for (uint32_t n = 0; n < loaded.document.records.size(); ++n) {
      const auto& record = loaded.document.records[n];
      by_key_[record.key].push_back({i, n});
      by_op_[record.op].push_back({i, n});
    }
  }
}

/// The layer's row, made if it is new; nullopt for one that nobody can give or that was lost.
std::optional<LayerId> CacheImports::layer_at(Loaded& loaded, uint32_t index) {
  auto& known = loaded.known[index];
  if (!known) {
    const auto& layer = loaded.document.layers[index];
    known = layer.blob ? state_.layers().add_known(layer.diff_id, *layer.blob, layer.content)
                       : state_.layers().find(layer.diff_id);
  }
  return known && !lost_.contains(*known) ? known : std::nullopt;
}

std::optional<CacheRecord> CacheImports::take(Place place) {
  Loaded& loaded = *origins_[place.origin];
  const CacheDocument::Record& record = loaded.document.records[place.index];
  CacheRecord out;
  out.key = record.key;
  out.op = record.op;
  out.created_at = record.created_at;
  out.origin = loaded.origin.name;
  for (auto at = record.top; at; at = loaded.document.layers[*at].parent) {
    const auto layer = layer_at(loaded, *at);
    if (!layer) return std::nullopt;
    out.layers.insert(out.layers.begin(), *layer);
  }
  // Holds them against a sweep, too.
  if (!state_.layers().exists(out.layers)) return std::nullopt;
  return out;
}

std::optional<CacheRecord> CacheImports::find(const Digest& key) {
  const std::lock_guard lock(mutex_);
  const auto places = by_key_.find(key);
  if (places == by_key_.end()) return std::nullopt;
  for (const Place place : places->second) {
    if (auto record = take(place)) return record;
  }
  return std::nullopt;
}

bool CacheImports::has_op(const Digest& op) const {
  const std::lock_guard lock(mutex_);
  return by_op_.contains(op);
}

std::optional<CacheRecord> CacheImports::find_content(
    const Digest& op, size_t inputs, const std::function<Digest(size_t)>& content) {
  std::vector<Place> candidates;
  {
    const std::lock_guard lock(mutex_);
    const auto places = by_op_.find(op);
    if (places != by_op_.end()) candidates = places->second;
  }
  const auto record_at = [&](Place place) -> const CacheDocument::Record& {
    return origins_[place.origin]->document.records[place.index];
  };
  std::erase_if(candidates, [&](Place place) { return record_at(place).inputs.size() != inputs; });
  for (size_t i = 0; i < inputs && !candidates.empty(); ++i) {
    std::erase_if(candidates, [&](Place place) { return record_at(place).inputs[i].empty(); });
    if (candidates.empty()) break;
    const Digest ours = content(i);
    std::erase_if(candidates, [&](Place place) { return record_at(place).inputs[i] != ours; });
  }
  const std::lock_guard lock(mutex_);
  for (const Place place : candidates) {
    if (auto record = take(place)) return record;
  }
  return std::nullopt;
}

std::shared_ptr<BlobProvider> CacheImports::provider_of(LayerId layer) {
  const auto info = state_.layers().info(layer);
  if (!info) return nullptr;
  const std::lock_guard lock(mutex_);
  for (const auto& blob : info->blobs) {
    const auto provider = blobs_.find(blob.descriptor.digest);
    if (provider != blobs_.end()) return provider->second;
  }
  return nullptr;
}

std::vector<Digest> CacheImports::inputs_of(const std::string& origin, const Digest& key) const {
  const std::lock_guard lock(mutex_);
  const auto places = by_key_.find(key);
  if (places == by_key_.end()) return {};
  for (const Place place : places->second) {
    const Loaded& loaded = *origins_[place.origin];
    if (loaded.origin.name == origin) return loaded.document.records[place.index].inputs;
  }
  return {};
}

std::optional<CacheImports::Mount> CacheImports::mount_in(const Loaded& loaded, const Digest& id) {
  for (const auto& mount : loaded.document.mounts) {
    if (mount.id == id) {
      return Mount{loaded.origin.name, mount.blob, loaded.origin.storage->blobs()};
    }
  }
  return std::nullopt;
}

std::optional<CacheImports::Mount> CacheImports::mount(const Digest& id) const {
  const std::lock_guard lock(mutex_);
  for (const auto& loaded : origins_) {
    if (!loaded->origin.mounts) continue;
    if (auto found = mount_in(*loaded, id)) return found;
  }
  return std::nullopt;
}

std::optional<CacheImports::Mount> CacheImports::mount_of(const std::string& origin,
                                                          const Digest& id) const {
  const std::lock_guard lock(mutex_);
  for (const auto& loaded : origins_) {
    if (loaded->origin.name != origin) continue;
    if (auto found = mount_in(*loaded, id)) return found;
  }
  return std::nullopt;
}

bool CacheImports::distrust(LayerId layer) {
  if (!provider_of(layer)) return false;
  {
    const std::lock_guard lock(mutex_);
    if (!lost_.insert(layer).second) return false;
  }
  CacheStore(state_.database()).remove_with_layer(layer);
  return true;
}

}  // namespace lade
