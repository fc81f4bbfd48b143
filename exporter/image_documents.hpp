// The small JSON files around an image's blobs, as BuildKit's exporters write them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/exporter.hpp"

namespace lade {

/// Whole names ("docker.io/library/app:1"), checked. Throws Error(usage) for one with a digest.
std::vector<std::string> normalized_names(const std::vector<std::string>& names);

/// The descriptor of the manifest or index as index.json lists it, once per name: with the
/// platform, the time of creation, and io.containerd.image.name and
/// org.opencontainers.image.ref.name (the tag alone, as containerd has it). Without names a single
/// one, with `tag` as its ref.name unless that is empty.
std::vector<Descriptor> index_entries(const WrittenSet& image,
                                      const std::vector<std::string>& full_names,
                                      std::string_view tag);

/// index.json (image-spec: image-layout.md).
std::string index_document(const std::vector<Descriptor>& entries);

/// manifest.json of `docker save`; names are written the short way ("app:1").
struct DockerEntry {
  const WrittenImage* image;
  std::vector<std::string> full_names;
};
std::string docker_manifest_document(const std::vector<DockerEntry>& entries);

inline constexpr std::string_view kLayoutDocument = R"({"imageLayoutVersion":"1.0.0"})";
inline constexpr std::string_view kLayoutVersion = "1.0.0";
inline constexpr std::string_view kNameAnnotation = "io.containerd.image.name";
inline constexpr std::string_view kRefNameAnnotation = "org.opencontainers.image.ref.name";
inline constexpr std::string_view kCreatedAnnotation = "org.opencontainers.image.created";

/// Everything that is written: index, manifests, configs, layers; no digest twice, sorted by
/// digest.
std::vector<Descriptor> all_blobs(const WrittenSet& image);

}  // namespace lade
