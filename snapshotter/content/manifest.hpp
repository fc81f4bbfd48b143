// Image manifests and indexes, OCI and Docker schema 2 (image-spec: manifest.md, image-index.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshotter/content/descriptor.hpp"

namespace lade {

struct Manifest {
  std::string media_type;  ///< OCI's or Docker's
  Descriptor config;
  std::vector<Descriptor> layers;
  std::map<std::string, std::string> annotations;
  std::optional<Descriptor> subject;
  std::string artifact_type;

  /// Parses and checks untrusted bytes: schemaVersion 2, at most 4 MiB and 10,000 layers.
  /// `media_type` is what the registry or the descriptor said, used when the document has none; a
  /// contradiction throws.
  static Manifest parse(std::string_view bytes, std::string_view media_type);
  /// Deterministic JSON, byte for byte what BuildKit writes.
  std::string serialize() const;
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
  std::map<std::string, std::string> annotations;

  std::string artifact_type;
  std::optional<Descriptor> subject;

  /// As Manifest::parse().
  static Index parse(std::string_view bytes, std::string_view media_type);
  std::string serialize() const;
  /// The best manifest for `platform` (by Platform::rank(), the first of equals; entries without a
  /// platform last; attestation manifests, "unknown/unknown", never). nullptr if there is none.
  /// Borrows.
  const Descriptor* select(const Platform& platform) const;
};

}  // namespace lade
