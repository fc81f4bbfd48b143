// Attestations: in-toto statements about images and trees, and the manifests that carry them beside
// an image (BuildKit's docs/attestations/attestation-storage.md).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exporter/exporter.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// What a statement is about.
struct AttestationSubject {
  std::string name;
  Digest digest;
};

/// An in-toto statement (https://in-toto.io/Statement/v1), on one line or for people to read.
std::string attestation_statement(const Attestation& attestation,
                                  const std::vector<AttestationSubject>& subjects, bool indented);

/// An image as a package URL (purl-spec): "pkg:docker/debian@12?platform=linux%2Famd64". `type` is
/// "docker", or "oci" for what no registry has.
std::string package_url(std::string_view type, const Reference& image, const Platform* platform);

/// Stores the statements and a manifest of them: an artifact whose subject is the image, or (the
/// older form) one that looks like an image. `names` are those that the image is given.
struct WrittenAttestation {
  Descriptor manifest;            ///< as an index lists it
  std::vector<Descriptor> blobs;  ///< statements, config
};
WrittenAttestation write_attestation(StateDir& state, const WrittenImage& image,
                                     const std::vector<Attestation>& attestations,
                                     const std::vector<std::string>& names, bool artifact);

}  // namespace lade
