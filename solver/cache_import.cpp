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

/// The document of a cache, from the content store if it is there; nullopt if there is none yet.
std::optional<CacheDocument> read_document(ContentStore& content, CacheStorage& storage) {
  const auto bytes = storage.read_manifest();
  if (!bytes) return std::nullopt;
  const Manifest manifest = Manifest::parse(*bytes, media_type::kOciManifest);
  const Descriptor& config = manifest.config;
  if (config.media_type != media_type::kCacheDocument) {
    throw Error(
        fmt::format("it is no cache of lade's: its config is {}", quoted(config.media_type)));
  }
  return CacheDocument::parse(fetch_document(content, *storage.blobs(), config, kMaxDocument));
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
