// Provenance: what a build was made from and asked for, as a predicate of SLSA
// (slsa.dev/provenance, versions 1 and 0.2) in the form that BuildKit gives it (its
// docs/attestations/slsa-definitions.md).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "exporter/exporter.hpp"
#include "snapshotter/content/image_config.hpp"
#include "solver/definition.hpp"
#include "solver/lower.hpp"

namespace lade {

/// Of "attest:provenance", and of --attest type=provenance.
struct ProvenanceOptions {
  bool max = true;  ///< with build arguments, the names of secrets, the graph and the Dockerfile
  bool slsa02 = false;
  std::string builder_id;
  bool reproducible = false;        ///< what the user says of the build
  bool inline_only = false;         ///< AttestationRequest's
  bool complete_materials = false;  ///< unless all that went in is known, it is an error
  std::string file_name = "provenance.json";
};

/// What attestations a build is to make.
struct AttestOptions {
  std::optional<ProvenanceOptions> provenance;
  std::optional<SbomScanner> sbom;
};

/// "provenance" or "sbom" with their attributes ("mode=max,..."); "disabled=true" turns one off.
/// Throws Error for unknown kinds and attributes, and for what is not supported.
void set_attestation(AttestOptions& out, const std::string& kind, const std::string& attributes);

/// The same of a frontend's options: "attest:KIND" and "build-arg:BUILDKIT_ATTEST_KIND".
AttestOptions attest_options(const std::map<std::string, std::string>& frontend_options);

/// The JSON objects in a directory's files *.json, joined to one: what the owner of a builder wants
/// provenance to say of it. Empty if there are none. Throws Error for what is no object, and for
/// names that have a meaning.
std::string provenance_environment(const std::string& directory);

/// What was asked for, as frontends are asked.
struct ProvenanceRequest {
  std::string frontend;  ///< "dockerfile.v0"
  std::map<std::string, std::string> args;
};

/// What is known of a build besides its graph.
struct ProvenanceFacts {
  ProvenanceRequest request;
  /// What the client asked for, where it drove the build itself.
  std::optional<ProvenanceRequest> root;
  std::string id;
  Timestamp started;
  /// What remote sources were when they were asked: the commit, the file's digest.
  std::map<SourceOp, std::string> pins;
  std::set<std::string> locals;  ///< directories that were read besides those of the graph
  std::string environment;       ///< what is said of the machine, a JSON object; empty: nothing
};

/// The statement about what `root` of the graph makes. `image` gives the layers that mode=max tells
/// of. Values of secrets are nowhere in it. Throws Error for complete_materials.
Attestation provenance(const ProvenanceOptions& options, const ProvenanceFacts& facts,
                       const Definition& graph, Edge root, const WrittenImage* image);

}  // namespace lade
