// What commands share in reading their flags.
#pragma once

#include <string>

#include "builder/options/usage.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// An image's name as a word of the command line. Throws Error(usage).
Reference parse_image_argument(const std::string& text);
/// The same for a name that is to be given; `no_digest` is what is wrong with one by digest.
Reference parse_new_name(const std::string& text,
                         const char* no_digest = "an image cannot be named by a digest");

}  // namespace lade
