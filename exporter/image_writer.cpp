// make_layer_blob() and write_image(): a ref and a config become blobs, a config and a manifest.
#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "exporter/exporter.hpp"
#include "exporter/fetchers.hpp"
#include "exporter/inline_cache.hpp"
#include "exporter/layer_blob.hpp"

namespace lade {
namespace {

/// Which time the files of a layer were clamped to, as BuildKit notes it.
constexpr const char* kRewritten = "buildkit/rewritten-timestamp";
constexpr std::string_view kMissingHistory = "this layer has no history entry in the base image";

// A layer may be in a stack twice (once in the base image and once made anew); it is made once for
// each request.
struct Job {
  LayerPlan plan;
  MadeBlob made;
};

// Descriptions alone. Mostly all are known, which is not worth waking oneTBB's threads for.
std::vector<MadeBlob> describe_layers(StateDir& state, const ImageSource& source,
                                      const ImageOptions& options) {
  const BlobRequest request = blob_request(options);
  std::vector<MadeBlob> out(source.layers.size());
  std::vector<size_t> unknown;
  for (size_t i = 0; i < out.size(); ++i) {
    auto known = known_description(state, source.layers[i], request);
    if (known) {
      out[i] = std::move(*known);
    } else {
      unknown.push_back(i);
    }
  }
  if (unknown.empty()) return out;
  parallel_for(0, unknown.size(), [&](size_t at) {
    const size_t i = unknown[at];
    out[i] = describe_layer(state, source.layers[i], request);
  });
  return out;
}

// Makes all blobs: what is here is computed while the rest is fetched, then that.
void make_all(StateDir& state, std::vector<Job>& jobs, const LayerProvider& provider) {
  const auto middle = std::stable_partition(jobs.begin(), jobs.end(),
                                            [](const Job& job) { return job.plan.needs_fetch(); });
  const auto fetched = static_cast<size_t>(middle - jobs.begin());
  const auto make = [&](size_t i) { jobs[i].made = carry_out(state, jobs[i].plan); };

  Fetchers fetchers(fetched, [&](size_t i) { fetch_for(state, jobs[i].plan, provider); });
  parallel_for(fetched, jobs.size(), make);
  fetchers.join();
  parallel_for(0, fetched, make);
}

std::vector<MadeBlob> make_blobs(StateDir& state, const ImageSource& source,
                                 const ImageOptions& options) {
  const BlobRequest own = blob_request(options);
  BlobRequest base = own;
  base.clamp.reset();
  std::vector<Job> jobs;
  std::map<std::pair<LayerId, bool>, size_t> positions;
  const auto key_of = [&](size_t i) {
    return std::pair(source.layers[i], own.clamp && i < source.base_layers);
  };
  for (size_t i = 0; i < source.layers.size(); ++i) {
    const auto key = key_of(i);
    if (!positions.try_emplace(key, jobs.size()).second) continue;
    LayerPlan plan = plan_layer(state, key.first, key.second ? base : own);
    if (options.leave_remote && plan.way == BlobWay::use) plan.fetch_blob = false;
    jobs.push_back({std::move(plan), {}});
  }
  make_all(state, jobs, source.provider);

  std::map<std::pair<LayerId, bool>, const MadeBlob*> made;
  for (const Job& job : jobs) {
    made[{job.plan.layer, own.clamp && !job.plan.request.clamp}] = &job.made;
  }
  std::vector<MadeBlob> out;
  for (size_t i = 0; i < source.layers.size(); ++i) out.push_back(*made.at(key_of(i)));
  return out;
}

// Base images without, or with a wrong, history exist; config.md wants one non-empty entry per
// layer.
void match_history(std::vector<HistoryEntry>& history, size_t layers) {
  size_t described = 0;
  for (HistoryEntry& entry : history) {
    if (entry.empty_layer) continue;
    if (described == layers) {
      entry.empty_layer = true;
    } else {
      ++described;
    }
  }
  // This build's own entries, which have no time yet, are complete: what is missing goes before
  // them.
  auto at = std::find_if(history.rbegin(), history.rend(),
                         [](const HistoryEntry& entry) { return entry.created.has_value(); });
  HistoryEntry missing;
  missing.comment = kMissingHistory;
  history.insert(at.base(), layers - described, missing);
}

ImageConfig finish_config(const ImageSource& source, const std::vector<MadeBlob>& blobs,
                          const std::optional<Timestamp>& epoch) {
  ImageConfig config = source.config;
  config.diff_ids.clear();
  for (const MadeBlob& blob : blobs) config.diff_ids.push_back(blob.diff_id);
  match_history(config.history, blobs.size());
  const Timestamp now = epoch.value_or(Timestamp::now());
  for (HistoryEntry& entry : config.history) {
    if (!entry.created) entry.created = now;
  }
  if (!config.created || (epoch && *config.created > *epoch)) config.created = now;
  return config;
}

// What containerd and BuildKit note on descriptors for themselves does not belong into an image;
// Docker's schema has no annotations on layers at all.
void clean_annotations(Descriptor& layer, bool oci) {
  if (!oci) layer.annotations.clear();
  std::erase_if(layer.annotations, [](const auto& annotation) {
    const std::string_view key = annotation.first;
    return key == "containerd.io/uncompressed" || key == "buildkit/createdat" ||
           key.starts_with("containerd.io/distribution.source.");
  });
}

// A build in which all is cached writes nothing if it can be helped.
Descriptor keep_document(ContentStore& content, const std::string& text, std::string_view type,
                         const ImageOptions& options) {
  if (!options.lazy) return content.put(text, type);
  Descriptor out;
  out.media_type = type;
  out.digest = Digest::of(text);
  out.size = text.size();
  return content.size(out.digest) == out.size ? out : content.put(text, type);
}

}  // namespace

MadeBlob make_layer_blob(StateDir& state, LayerId layer, const ImageOptions& options,
                         const LayerProvider& provider) {
  const LayerPlan plan = plan_layer(state, layer, blob_request(options));
  if (plan.needs_fetch()) fetch_for(state, plan, provider);
  MadeBlob made = carry_out(state, plan);
  made.descriptor.media_type =
      layer_media_type(made.descriptor.media_type, options.oci_media_types);
  return made;
}

void prepare_layer(StateDir& state, LayerId layer, const ImageOptions& options,
                   const LayerProvider& provider) {
  if (options.lazy) {
    describe_layer(state, layer, blob_request(options));
  } else {
    make_layer_blob(state, layer, options, provider);
  }
}

WrittenImage write_image(StateDir& state, const ImageSource& source, const ImageOptions& options) {
  if (source.config.platform.os.empty() || source.config.platform.architecture.empty()) {
    throw Error("the image config has no os or no architecture");
  }
  // Layers: digests, diff IDs.
  const std::vector<MadeBlob> blobs =
      options.lazy ? describe_layers(state, source, options) : make_blobs(state, source, options);
  WrittenImage image;
  for (size_t i = 0; i < blobs.size(); ++i) {
    Descriptor layer = blobs[i].descriptor;
    layer.media_type = layer_media_type(layer.media_type, options.oci_media_types);
    layer.platform.reset();
    clean_annotations(layer, options.oci_media_types);
    if (options.oci_media_types && options.rewrite_timestamp && i >= source.base_layers) {
      layer.annotations[kRewritten] = std::to_string(options.source_date_epoch->seconds);
    }
    image.layers.push_back(std::move(layer));
  }
  // Config.
  const bool oci = options.oci_media_types;
  image.parsed_config = finish_config(source, blobs, options.source_date_epoch);
  std::string config = image.parsed_config.serialize();
  if (source.inline_cache) {
    const CacheDocument cache =
        make_inline_cache(state, *source.inline_cache, source.layers, source.base_layers,
                          image.parsed_config.diff_ids, options.source_date_epoch);
    image.inline_cache = cache.records.size();
    config = with_inline_cache(std::move(config), cache);
  }
  image.config = keep_document(state.content(), config,
                               oci ? media_type::kOciConfig : media_type::kDockerConfig, options);
  // Manifest.
  Manifest manifest;
  manifest.media_type = oci ? media_type::kOciManifest : media_type::kDockerManifest;
  manifest.config = image.config;
  manifest.layers = image.layers;
  manifest.annotations = options.annotations;
  image.manifest =
      keep_document(state.content(), manifest.serialize(), manifest.media_type, options);
  image.manifest.platform = source.config.platform;
  return image;
}

WrittenSet write_index(StateDir& state, std::vector<WrittenImage> images, bool oci_media_types,
                       const std::map<std::string, std::string>& annotations,
                       std::vector<Descriptor> attestations) {
  Index index;
  index.media_type = oci_media_types ? media_type::kOciIndex : media_type::kDockerIndex;
  for (const WrittenImage& image : images) index.manifests.push_back(image.manifest);
  index.manifests.insert(index.manifests.end(), attestations.begin(), attestations.end());
  index.annotations = annotations;
  WrittenSet set;
  set.target = state.content().put(index.serialize(), index.media_type);
  set.index = set.target.digest;
  set.images = std::move(images);
  set.attestations = std::move(attestations);
  return set;
}

}  // namespace lade
