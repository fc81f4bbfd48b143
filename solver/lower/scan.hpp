// SBOMs: the step that has a scanner image look through a result (BuildKit's
// docs/attestations/sbom-protocol.md). What it finds it writes into a directory, which is the
// step's output.
#pragma once

#include <map>
#include <string>

#include "solver/lower/lower.hpp"

namespace lade {

/// What is scanned: the root filesystem of a result, and what was used on the way to it.
struct ScanTarget {
  Edge core;
  std::map<std::string, Edge> extras;  ///< by the names of stages; "context"
  std::string platform;                ///< the result's, for the step's name
  bool ignore_cache = false;
};

/// Adds the step to `graph`; returns the edge of the directory with statements. The scanner runs on
/// `build_platform`. Throws Error.
Edge add_scan(Definition& graph, ImageResolver& resolver, const SbomScanner& scanner,
              const Platform& build_platform, const ScanTarget& target);

}  // namespace lade
