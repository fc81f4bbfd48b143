// The last phase of a build: what was solved becomes what --output, --tag, --iidfile and
// --metadata-file asked for.
#pragma once

#include <string>
#include <vector>

#include "app/build/build_options.hpp"
#include "base/progress.hpp"
#include "builder/image_export.hpp"
#include "exporter/exporter.hpp"

namespace lade {

struct ExportedBuild {
  VertexNumber next = 0;  ///< a free number
  std::string unnamed;    ///< what an image without a name is kept by; empty if there is none
};

/// Throws for what is wrong with a destination whatever the build gives, before it is run.
void check_destinations(const std::vector<Output>& outputs);

/// Removes what an earlier build wrote for --iidfile and --metadata-file, so that nobody takes it
/// for this one's if it fails.
void remove_stale_reports(const BuildRequest& request);

/// Writes all outputs of `request`, each as a progress item numbered from `first`; then the files
/// of --iidfile and --metadata-file, whatever the outputs are. With several images (or
/// BUILDKIT_MULTI_PLATFORM) outputs hold an index, or a directory per platform.
ExportedBuild export_build(StateDir& state, ProgressSink& progress, const BuildRequest& request,
                           std::vector<BuiltImage> images, const LayerProvider& provider,
                           VertexNumber first);

}  // namespace lade
