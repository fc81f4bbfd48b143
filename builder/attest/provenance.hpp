// Provenance: what a build was made from and asked for, as a predicate of SLSA
// (slsa.dev/provenance, versions 1 and 0.2) in the form that BuildKit gives it (its
// docs/attestations/slsa-definitions.md).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "builder/options/attest_options.hpp"
#include "exporter/exporter.hpp"
#include "snapshotter/content/image_config.hpp"
#include "solver/graph/definition.hpp"

namespace lade {

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
