// An OCI image layout as a directory (image-spec: image-layout.md).
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "exporter/exporter.hpp"

namespace lade {

/// Adds the image to the layout at `dest`, which is made if there is none. Blobs that are there
/// stay; index.json comes last, under the lock BuildKit's clients take (index.json.lock), and loses
/// older entries of the same names. A failure leaves no blob, directory or entry behind that was
/// not there before. `others` are further blobs that come along.
void add_to_layout(StateDir& state, const WrittenSet& image,
                   const std::vector<std::string>& full_names, const std::string& dest,
                   const std::vector<Descriptor>& others = {});

/// Throws Error if `dir` holds a layout of a version that lade does not know.
void check_layout(const std::string& dir);
/// Adds one entry to the layout's index.json, in the place of those of the same name; makes
/// oci-layout and index.json if they are missing. The blob must be there.
void set_layout_entry(const std::string& dir, const Descriptor& entry);

/// Opens a blob of a written image in the content store and checks its size. Error(not_found) if it
/// is gone.
UniqueFd open_image_blob(StateDir& state, const Descriptor& blob);

}  // namespace lade
