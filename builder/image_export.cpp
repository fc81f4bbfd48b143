#include "builder/image_export.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/text.hpp"
#include "exporter/attestation.hpp"

namespace lade {
namespace {

/// Without an epoch, an image is as old as its layers: a build that ran nothing gives the same
/// image again.
void date_history(ImageSource& source, const SolveResult& solved) {
  size_t layer = 0;
  std::optional<Timestamp> last;
  for (auto& entry : source.config.history) {
    if (entry.created) last = entry.created;
    if (!entry.empty_layer && layer < source.layers.size()) {
      const auto made = solved.created.find(source.layers[layer++]);
      if (!entry.created && made != solved.created.end()) last = Timestamp{made->second, 0};
    }
    if (!entry.created) entry.created = last;
  }
  // What stands before the first layer of an image from scratch is as old as that.
  auto& history = source.config.history;
  const auto first = std::find_if(history.begin(), history.end(), [](const HistoryEntry& entry) {
    return entry.created.has_value();
  });
  if (first != history.end()) {
    for (auto entry = history.begin(); entry != first; ++entry) entry->created = first->created;
  }
  if (last) source.config.created = last;
}

/// Whether what is said of the images makes an index of a single one.
bool has_attestations(const std::vector<ImageSource>& sources, const Output& output) {
  return std::any_of(sources.begin(), sources.end(), [&](const ImageSource& source) {
    return std::any_of(source.attestations.begin(), source.attestations.end(),
                       [&](const AttestationRequest& request) {
                         return !request.inline_only || output.attestation_inline.value_or(
                                                            output.type == OutputType::image);
                       });
  });
}

void attest(StateDir& state, const ImageSource& source, const WrittenImage& image,
            const Output& output, WrittenSet& out) {
  if (source.attestations.empty()) return;
  if (!output.image.oci_media_types) {
    throw Error("cannot export attestations with \"oci-mediatypes=false\"");
  }
  std::vector<Attestation> made;
  for (const auto& request : source.attestations) made.push_back(request.make(&image));
  WrittenAttestation written =
      write_attestation(state, image, made, output.names, output.oci_artifact);
  out.attestations.push_back(std::move(written.manifest));
  out.attestation_blobs.insert(out.attestation_blobs.end(), written.blobs.begin(),
                               written.blobs.end());
}

nlohmann::json descriptor_json(const Descriptor& target) {
  nlohmann::json out = {
      {"mediaType", target.media_type}, {"digest", target.digest.str()}, {"size", target.size}};
  if (!target.annotations.empty()) out["annotations"] = target.annotations;
  if (target.platform) {
    out["platform"] = {{"architecture", target.platform->architecture},
                       {"os", target.platform->os}};
    if (!target.platform->variant.empty()) out["platform"]["variant"] = target.platform->variant;
  }
  return out;
}

}  // namespace

std::string export_name(const Output& output) {
  switch (output.type) {
    case OutputType::image:
      return "exporting to image";
    case OutputType::oci:
      return "exporting to oci image format";
    case OutputType::docker:
      return output.load ? "loading into the container engine" : "exporting to docker image format";
    case OutputType::local:
      return "exporting to client directory";
    case OutputType::tar:
      return "exporting to client tarball";
  }
  return "exporting";
}

VertexNumber export_each(const std::vector<Output>& outputs, ProgressSink& progress,
                         VertexNumber first,
                         const std::function<void(size_t output, VertexNumber at)>& make) {
  VertexNumber at = first;
  for (size_t i = 0; i < outputs.size(); ++i) {
    progress.declared(at, export_name(outputs[i]));
    progress.started(at);
    try {
      make(i, at);
    } catch (const LostLayer&) {
      progress.canceled(at);
      throw;
    } catch (const Error& error) {
      progress.failed(at, error.message());
      throw;
    }
    progress.completed(at++);
  }
  return at;
}

bool needs_blobs(const Output& output) {
  return output.type == OutputType::image || output.type == OutputType::oci ||
         output.type == OutputType::docker;
}

ImageSource image_source(BuiltImage built, const LayerProvider& provider) {
  ImageSource source;
  source.layers = built.solved.layers;
  source.base_layers = built.lowered.config.diff_ids.size();
  source.config = std::move(built.lowered.config);
  if (!built.lowered.source_date_epoch) date_history(source, built.solved);
  source.provider = provider;
  source.inline_cache = std::move(built.inline_cache);
  source.attestations = std::move(built.attestations);
  return source;
}

std::string directory_of(const Platform& platform) {
  std::string name = platform.str();
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

WrittenSet write_images(StateDir& state, const std::vector<ImageSource>& sources,
                        const Output& output, bool as_index) {
  const bool attested = has_attestations(sources, output);
  std::vector<WrittenImage> images;
  WrittenSet attestations;
  for (const auto& source : sources) {
    const std::string platform = source.config.platform.str();
    ImageOptions options = output.image;
    options.leave_remote = output.push;
    for (const auto& [key, value] : output.annotations.of(AnnotationPlace::manifest, platform)) {
      options.annotations[key] = value;
    }
    WrittenImage image = write_image(state, source, options);
    image.manifest.annotations =
        output.annotations.of(AnnotationPlace::manifest_descriptor, platform);
    if (attested || as_index) attest(state, source, image, output, attestations);
    images.push_back(std::move(image));
  }
  if (!as_index && !attested) return std::move(images.front());
  WrittenSet set = write_index(state, std::move(images), output.image.oci_media_types,
                               output.annotations.of(AnnotationPlace::index, ""),
                               std::move(attestations.attestations));
  set.attestation_blobs = std::move(attestations.attestation_blobs);
  set.target.annotations = output.annotations.of(AnnotationPlace::index_descriptor, "");
  return set;
}

TreeSources::TreeSources(const std::vector<ImageSource>& sources, const Output& output,
                         bool as_index)
    : sources_(sources) {
  const bool split = output.platform_split.value_or(as_index);
  for (auto& source : sources_) {
    const std::string directory = directory_of(source.config.platform);
    for (auto& attestation : source.attestations) {
      std::string& name = attestation.file_name;
      if (as_index && !split) {
        const size_t dot = name.rfind('.');
        name.insert(dot == std::string::npos ? name.size() : dot, "." + directory);
      }
      name = output.attestation_prefix + name;
    }
    named_.push_back({split ? directory : "", &source});
  }
}

void export_tars(StateDir& state, const std::vector<ImageSource>& sources, const Output& output,
                 bool as_index) {
  const TreeSources trees(sources, output, as_index);
  export_rootfs_tar(state, trees.named(), output.dest, output.image.source_date_epoch);
}

PushSummary push_images(StateDir& state, RegistryClient& client, const Output& output,
                        const WrittenSet& set, const std::vector<ImageSource>& sources,
                        const PushProgress& progress) {
  std::map<Digest, LayerId> layers;
  for (size_t i = 0; i < set.images.size(); ++i) {
    const auto& blobs = set.images[i].layers;
    for (size_t j = 0; j < blobs.size(); ++j) {
      layers.emplace(blobs[j].digest, sources[i].layers[j]);
    }
  }
  const auto& provider = sources.front().provider;
  const auto base_of = [&](const Descriptor& blob) -> std::shared_ptr<BlobProvider> {
    const auto layer = layers.find(blob.digest);
    return layer == layers.end() ? nullptr : provider(layer->second);
  };
  PushRequest request;
  request.names = output.names;
  request.by_digest = output.push_by_digest;
  request.provider = base_of;
  request.sources = [&](const Descriptor& blob) {
    const auto base = base_of(blob);
    const auto repository = base ? repository_of(*base) : std::nullopt;
    return repository ? std::vector{*repository} : std::vector<Reference>{};
  };
  request.progress = progress;
  return push_image(state, client, set.target, request);
}

void say_images(ProgressSink& progress, VertexNumber vertex, const WrittenSet& set) {
  for (const auto& manifest : set.attestations) {
    progress.status(vertex, "attestation manifest " + manifest.digest.str(), 0, 0);
  }
  for (const auto& image : set.images) {
    uint64_t size = image.manifest.size + image.config.size;
    for (const auto& layer : image.layers) size += layer.size;
    progress.status(vertex, "manifest " + image.manifest.digest.str(), 0, 0);
    progress.status(vertex, "config " + image.config.digest.str(), 0, 0);
    progress.status(vertex,
                    fmt::format("{}, {:.2f} MB compressed", counted(image.layers.size(), "layer"),
                                static_cast<double>(size) / 1e6),
                    0, 0);
    if (image.inline_cache) {
      progress.status(vertex, "inline cache of " + counted(*image.inline_cache, "step"), 0, 0);
    }
  }
  if (set.index) progress.status(vertex, "manifest list " + set.index->str(), 0, 0);
}

Digest image_id_of(const WrittenSet& set) {
  return (set.index ? set.target : set.images.front().config).digest;
}

std::string image_metadata(const WrittenSet& set, const std::vector<std::string>& names) {
  nlohmann::json out = nlohmann::json::object();
  if (!set.index) out["containerimage.config.digest"] = set.images.front().config.digest.str();
  out["containerimage.descriptor"] = descriptor_json(set.target);
  out["containerimage.digest"] = set.target.digest.str();
  if (!names.empty()) out["image.name"] = join(names, ",");
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace lade
