#include "exporter/image_documents.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/json/json_writer.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

std::string blob_path(const Digest& digest) {
  return "blobs/sha256/" + digest.hex();
}

}  // namespace

std::vector<std::string> normalized_names(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    const Reference reference = Reference::parse(name);
    if (reference.digest) {
      throw Error("an image cannot be named " + quoted(name) + ": its digest is not known before",
                  ErrorKind::usage);
    }
    std::string full = reference.str();
    if (std::find(out.begin(), out.end(), full) == out.end()) out.push_back(std::move(full));
  }
  return out;
}

std::vector<Descriptor> index_entries(const WrittenSet& image,
                                      const std::vector<std::string>& full_names,
                                      std::string_view tag) {
  Descriptor entry = image.target;
  std::optional<int64_t> created;  // of the youngest
  for (const WrittenImage& one : image.images) {
    if (!one.parsed_config.created) continue;
    created = std::max(created.value_or(INT64_MIN), one.parsed_config.created->seconds);
  }
  if (created) {
    entry.annotations.try_emplace(std::string(kCreatedAnnotation), Timestamp{*created, 0}.str());
  }
  if (full_names.empty()) {
    if (!tag.empty()) entry.annotations[std::string(kRefNameAnnotation)] = tag;
    return {entry};
  }
  std::vector<Descriptor> out;
  for (const std::string& name : full_names) {
    entry.annotations[std::string(kNameAnnotation)] = name;
    entry.annotations[std::string(kRefNameAnnotation)] = Reference::parse(name).tag;
    out.push_back(entry);
  }
  return out;
}

std::string index_document(const std::vector<Descriptor>& entries) {
  JsonWriter out;
  out.begin_object()
      .member("schemaVersion", int64_t{2})
      .member("mediaType", media_type::kOciIndex)
      .key("manifests")
      .begin_array();
  for (const Descriptor& entry : entries) write_json(out, entry);
  out.end_array().end_object();
  return out.take();
}

std::string docker_manifest_document(const std::vector<DockerEntry>& entries) {
  JsonWriter out;
  out.begin_array();
  for (const DockerEntry& entry : entries) {
    std::vector<std::string> tags;
    for (const std::string& name : entry.full_names) {
      tags.push_back(Reference::parse(name).familiar());
    }
    std::vector<std::string> layers;
    for (const Descriptor& layer : entry.image->layers) layers.push_back(blob_path(layer.digest));
    out.begin_object()
        .member("Config", blob_path(entry.image->config.digest))
        .member("RepoTags", tags)
        .member("Layers", layers)
        .end_object();
  }
  out.end_array();
  return out.take();
}

std::vector<Descriptor> all_blobs(const WrittenSet& image) {
  std::vector<Descriptor> out;
  for (const WrittenImage& one : image.images) {
    out.insert(out.end(), one.layers.begin(), one.layers.end());
    out.push_back(one.config);
    out.push_back(one.manifest);
  }
  for (const auto* more : {&image.attestations, &image.attestation_blobs}) {
    out.insert(out.end(), more->begin(), more->end());
  }
  if (image.index) out.push_back(image.target);
  const auto less = [](const Descriptor& a, const Descriptor& b) { return a.digest < b.digest; };
  const auto same = [](const Descriptor& a, const Descriptor& b) { return a.digest == b.digest; };
  std::sort(out.begin(), out.end(), less);
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

}  // namespace lade
