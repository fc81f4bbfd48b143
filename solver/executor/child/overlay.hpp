// Mounting overlays of up to 500 layers on every kernel since 5.12.
#pragma once

#include "base/mount.hpp"
#include "base/unique_fd.hpp"
#include "solver/executor/child/staging.hpp"

namespace lade::sandbox {

/// How the layers are named to the kernel.
enum class OverlayApi {
  layer_options,  ///< one `lowerdir+` option per layer: Linux 6.7 and later
  option_string,  ///< mount(2) with all names in one page, through short symlinks in the staging
                  ///< area
};

OverlayApi best_overlay_api();

/// A mount of `mount` (kind overlay), not yet at its place. Changes the working directory. Throws
/// Error.
UniqueFd open_overlay(const Mount& mount, Staging& staging, OverlayApi api = best_overlay_api());

}  // namespace lade::sandbox
