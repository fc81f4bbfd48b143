// Images that are to be named, or to leave this machine.
#pragma once

#include <string>

#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace lade {

/// find_stored_image() of an image that has all its blobs: one that was built without a name gets
/// them now (complete_image()), and is kept by the manifest that names them from then on. Not
/// within a transaction: it may take a while.
StoredImage find_whole_image(StateDir& state, const std::string& text);

}  // namespace lade
