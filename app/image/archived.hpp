// Images of the store in the form that exports take.
#pragma once

#include "exporter/exporter.hpp"
#include "snapshotter/images/stored_image.hpp"

namespace lade {

/// What is here of the image, with `names`. Its layers' blobs stay while this process lives. Throws
/// Error if no platform's image is here whole.
ArchivedImage archived_image(StateDir& state, const StoredImage& image,
                             std::vector<std::string> names);

}  // namespace lade
