#include "solver/cache/cache_import.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "snapshotter/cache_mount.hpp"
#include "snapshotter/content/manifest.hpp"
#include "solver/cache/cache_store.hpp"

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
  throw Error(
      fmt::format("it is not a cache of lade's: its config is {}", quoted(config.media_type)));
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
        "it is not a cache of lade's, but an image that was built without --cache-to "
        "type=inline");
  }
  return out;
}

/// Names what a document says, layer by layer and record by record. What a layer lies on is in its
/// name: the look of directories that its tar only implies comes from there.
void name_claims(const CacheDocument& document, std::vector<Digest>& layers,
                 std::vector<Digest>& records) {
  for (const auto& layer : document.layers) {
    const Digest below = layer.parent ? layers[*layer.parent] : Digest();
    if (layer.blob) {
      layers.push_back(LayerClaim{layer.diff_id, layer.content, *layer.blob, below}.digest());
    } else {
      WireWriter base;
      base.text("lade base layer 1").digest(below).digest(layer.diff_id.digest);
      layers.push_back(Digest::of(base.str()));
    }
  }
  for (const auto& record : document.records) {
    WireWriter writer;
    writer.text("lade record claim 1").digest(record.key).digest(record.op);
    writer.list(record.inputs, [](WireWriter& out, const Digest& input) { out.digest(input); });
    writer.digest(record.top ? layers[*record.top] : Digest());
    records.push_back(Digest::of(writer.str()));
  }
}

}  // namespace

struct CacheImports::Loaded {
  Origin origin;
  CacheDocument document;
  bool trusted = true;
  std::vector<Digest> claims{};                 // by index into document.layers
  std::vector<Digest> record_claims{};          // by index into document.records
  std::vector<std::optional<LayerId>> known{};  // by index into document.layers
};

CacheImports::CacheImports(StateDir& state, const ImageSources& images, std::vector<Origin> origins)
    : state_(state), images_(images) {
  for (auto& origin : origins) {
    origins_.push_back(std::make_shared<Loaded>(Loaded{std::move(origin), {}}));
  }
}

void CacheImports::read_all(std::vector<std::string>& problems) {
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < origins_.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        Loaded& loaded = *origins_[i];
        auto document = read_document(state_.content(), *loaded.origin.storage);
        if (document) loaded.document = std::move(*document);
        if (!document && !loaded.origin.may_be_new) problems[i] = "there is none yet";
        name_claims(loaded.document, loaded.claims, loaded.record_claims);
      } catch (const std::exception& error) {
        problems[i] = error.what();
      }
    });
  }
}

void CacheImports::load(const std::function<void(const std::string&)>& warn) {
  const std::lock_guard once(load_mutex_);
  if (std::exchange(is_loaded_, true)) return;
  std::vector<std::string> problems(origins_.size());
  read_all(problems);
  const std::vector<Digest> found_false = state_.layers().false_claims();
  const std::set<Digest> lies(found_false.begin(), found_false.end());
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < origins_.size(); ++i) {
    Loaded& loaded = *origins_[i];
    const auto& claims = loaded.claims;
    const std::string& name = loaded.origin.name;
    if (!problems[i].empty()) {
      warn(fmt::format("the cache {} is not used: {}", name, problems[i]));
    } else if (!lies.empty() && std::any_of(claims.begin(), claims.end(), [&](const Digest& claim) {
                 return lies.contains(claim);
               })) {
      warn(fmt::format(
          "the cache {} is not trusted: what it says of a layer was found to be false before",
          name));
    } else {
      take_in(i);
      continue;
    }
    loaded.trusted = false;
    loaded.document = {};
  }
}

/// Makes the document's records and layers known to find() and the rest.
void CacheImports::take_in(size_t origin) {
  Loaded& loaded = *origins_[origin];
  const CacheDocument& document = loaded.document;
  loaded.known.resize(document.layers.size());
  const auto blobs = loaded.origin.storage->blobs();
  for (uint32_t n = 0; n < document.layers.size(); ++n) {
    const auto& blob = document.layers[n].blob;
    if (!blob) continue;
    layer_claims_[loaded.claims[n]].insert(origin);
    auto& offers = blobs_[blob->digest];
    if (offers.empty() || offers.back().origin != origin) offers.push_back({origin, blobs});
  }
  for (uint32_t n = 0; n < document.records.size(); ++n) {
    const auto& record = document.records[n];
    record_claims_[loaded.record_claims[n]].insert(origin);
    by_key_[record.key].push_back({origin, n});
    by_op_[record.op].push_back({origin, n});
  }
  if (!loaded.origin.mounts) return;
  for (const auto& mount : document.mounts) {
    record_claims_[restored_mount(mount.id, mount.blob.digest)].insert(origin);
  }
}

/// The layer's row, made if it is new; nullopt for one that nobody can give or that was lost.
std::optional<LayerId> CacheImports::layer_at(Loaded& loaded, uint32_t index) {
  auto& known = loaded.known[index];
  if (!known) {
    const auto& layer = loaded.document.layers[index];
    const Digest below = layer.parent ? loaded.claims[*layer.parent] : Digest();
    known = layer.blob
                ? state_.layers().add_claimed({layer.diff_id, layer.content, *layer.blob, below})
                : images_.layer_of(layer.diff_id);
  }
  return known && !lost_.contains(*known) ? known : std::nullopt;
}

std::optional<CacheRecord> CacheImports::take(Place place) {
  Loaded& loaded = *origins_[place.origin];
  const CacheDocument::Record& record = loaded.document.records[place.index];
  std::vector<uint32_t> stack;
  for (auto at = record.top; at; at = loaded.document.layers[*at].parent) stack.push_back(*at);
  std::reverse(stack.begin(), stack.end());
  CacheRecord out;
  out.op = record.op;
  out.created_at = record.created_at;
  out.origin = loaded.origin.name;
  out.claims = {loaded.record_claims[place.index]};
  const auto add_layers = [&] {
    for (const uint32_t index : stack) {
      const auto layer = layer_at(loaded, index);
      if (!layer) return false;
      out.layers.push_back(*layer);
    }
    return true;
  };
  const bool all_known = std::all_of(
      stack.begin(), stack.end(), [&](uint32_t index) { return loaded.known[index].has_value(); });
  bool complete = false;
  if (all_known) {
    complete = add_layers();
  } else {
    state_.database().transaction([&] { complete = add_layers(); });
  }
  // Holds them against a sweep, too.
  if (!complete || !state_.layers().exists(out.layers)) return std::nullopt;
  return out;
}

const CacheImports::Place* CacheImports::first_of(
    const std::map<Digest, std::vector<Place>>& places, const Digest& key, size_t origin) const {
  const auto found = places.find(key);
  if (found == places.end()) return nullptr;
  const auto place = std::find_if(found->second.begin(), found->second.end(),
                                  [&](const Place& each) { return each.origin == origin; });
  return place == found->second.end() ? nullptr : &*place;
}

std::optional<std::vector<CacheRecord>> CacheImports::find(const std::vector<Digest>& keys) {
  const std::lock_guard lock(mutex_);
  for (size_t origin = 0; origin < origins_.size(); ++origin) {
    if (!origins_[origin]->trusted) continue;
    std::vector<CacheRecord> records;
    for (const Digest& key : keys) {
      const Place* place = first_of(by_key_, key, origin);
      auto record = place ? take(*place) : std::nullopt;
      if (!record) break;
      records.push_back(std::move(*record));
    }
    if (records.size() == keys.size()) return records;
  }
  return std::nullopt;
}

bool CacheImports::has_op(const Digest& op) const {
  const std::lock_guard lock(mutex_);
  const auto places = by_op_.find(op);
  return places != by_op_.end() &&
         std::any_of(places->second.begin(), places->second.end(),
                     [&](const Place& place) { return origins_[place.origin]->trusted; });
}

std::optional<CacheRecord> CacheImports::find_content(
    const Digest& op, size_t inputs, const std::function<Digest(size_t)>& content) {
  std::vector<Place> candidates;
  {
    const std::lock_guard lock(mutex_);
    const auto places = by_op_.find(op);
    if (places != by_op_.end()) candidates = places->second;
    std::erase_if(candidates, [&](Place place) { return !origins_[place.origin]->trusted; });
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
    if (!origins_[place.origin]->trusted) continue;
    if (auto record = take(place)) return record;
  }
  return std::nullopt;
}

/// The names of those who make a claim and are believed.
std::set<std::string> CacheImports::trusted_of(const Claims& claims, const Digest& claim) const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> out;
  const auto found = claims.find(claim);
  if (found == claims.end()) return out;
  for (const size_t origin : found->second) {
    if (origins_[origin]->trusted) out.insert(origins_[origin]->origin.name);
  }
  return out;
}

std::set<std::string> CacheImports::origins_of(const Digest& claim) const {
  return trusted_of(record_claims_, claim);
}

std::set<std::string> CacheImports::origins_of_layer(const Digest& claim) const {
  return trusted_of(layer_claims_, claim);
}

CacheImports::Offer* CacheImports::offer_of(const Digest& blob) {
  const auto offers = blobs_.find(blob);
  if (offers == blobs_.end()) return nullptr;
  for (Offer& offer : offers->second) {
    if (origins_[offer.origin]->trusted) return &offer;
  }
  return nullptr;
}

std::shared_ptr<BlobProvider> CacheImports::provider_of(LayerId layer) {
  const auto info = state_.layers().info(layer);
  if (!info) return nullptr;
  const std::lock_guard lock(mutex_);
  for (const auto& blob : info->blobs) {
    if (const Offer* offer = offer_of(blob.descriptor.digest)) return offer->provider;
  }
  return nullptr;
}

std::vector<Digest> CacheImports::inputs_of(const std::string& origin, const Digest& key) const {
  const std::lock_guard lock(mutex_);
  const auto places = by_key_.find(key);
  if (places == by_key_.end()) return {};
  for (const Place place : places->second) {
    const Loaded& loaded = *origins_[place.origin];
    if (loaded.trusted && loaded.origin.name == origin) {
      return loaded.document.records[place.index].inputs;
    }
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
    if (!loaded->origin.mounts || !loaded->trusted) continue;
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

std::string CacheImports::distrust_liars(const LostLayer& lost, const Digest& claim) {
  std::vector<std::string> names;
  for (const size_t origin : layer_claims_[claim]) {
    Loaded& loaded = *origins_[origin];
    if (std::exchange(loaded.trusted, false)) names.push_back(loaded.origin.name);
  }
  if (names.empty()) return {};
  return fmt::format("{} {} not trusted: {}; what it gave is made here",
                     names.size() == 1 ? "the cache" : "the caches",
                     join(names, " and ") + (names.size() == 1 ? " is" : " are"), lost.message());
}

/// Whoever has the layer's bytes next is asked for them; if nobody does, it is lost.
std::string CacheImports::ask_another(const LostLayer& lost, const Digest& blob) {
  if (const Offer* failed = offer_of(blob)) {
    const size_t origin = failed->origin;
    std::erase_if(blobs_[blob], [&](const Offer& offer) { return offer.origin == origin; });
    if (const Offer* next = offer_of(blob)) {
      return fmt::format("{} is asked for what the cache {} promised: {}",
                         origins_[next->origin]->origin.name, origins_[origin]->origin.name,
                         lost.message());
    }
  }
  if (!lost_.insert(lost.layer()).second) return {};
  return "what another machine's cache promised is not there, its step runs again: " +
         lost.message();
}

std::optional<std::string> CacheImports::distrust(const LostLayer& lost) {
  const auto info = state_.layers().info(lost.layer());
  if (!info || info->blobs.empty()) return std::nullopt;
  std::string out;
  {
    const std::lock_guard lock(mutex_);
    const auto offered = [&](const LayerBlob& blob) {
      return blobs_.contains(blob.descriptor.digest);
    };
    const auto blob = std::find_if(info->blobs.begin(), info->blobs.end(), offered);
    if (blob == info->blobs.end()) return std::nullopt;
    if (!lost.was_false()) {
      out = ask_another(lost, blob->descriptor.digest);
    } else if (info->claim) {
      out = distrust_liars(lost, *info->claim);
    } else {
      return std::nullopt;
    }
    if (!lost.was_false() && !lost_.contains(lost.layer())) return out;
  }
  CacheStore(state_.database()).remove_with_layer(lost.layer());
  return out;
}

}  // namespace lade
