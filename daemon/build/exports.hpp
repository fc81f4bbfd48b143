// What a build's result goes into: BuildKit's exporters image, oci, docker, local and tar, and
// caches.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "builder/attest/provenance.hpp"
#include "daemon/job/job.hpp"

namespace lade {

/// An exporter as a client names it. Which of the client's files it means is its place in the list.
struct ExporterEntry {
  std::string type;
  std::map<std::string, std::string> attrs;
};

/// What is to be said of the build.
struct AttestedBuild {
  AttestOptions options;
  ProvenanceRequest request;  ///< the client's own, to Control.Solve
  Timestamp started;
};

/// What came of it.
struct ExportAnswer {
  std::map<std::string, std::string> response;  ///< for the client ("containerimage.digest", ...)
  std::vector<Descriptor> images;               ///< what was written, in the exporters' order
};

/// The config that a frontend gave ("containerimage.config"), which need not say what exporters
/// fill in. Throws Error(corrupt).
ImageConfig config_of_frontend(const std::string& text);

/// Solves what of the result is not made yet and writes it to all exporters and caches, layers
/// being compressed and sent while steps run. Throws Error.
ExportAnswer export_result(Job& job, const FrontendResult& result,
                           const std::vector<ExporterEntry>& exporters,
                           const std::vector<CacheEntry>& caches, const AttestedBuild& attested);

}  // namespace lade
