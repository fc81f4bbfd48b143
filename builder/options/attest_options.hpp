// Which attestations a build is to make, as --attest and frontends' options ask for them.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "solver/lower/lower.hpp"

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

}  // namespace lade
