// Extended attributes that programs leave on files, and that tell more than an image should:
// downloads have the URL they came from (user.xdg.origin.url), whose query may be as good as a
// password. Steps see what BuildKit's steps see, all `user.` ones, and unlike BuildKit's so do
// layers; where it may matter, that is said.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// The name of one that looks like a URL with a query.
std::optional<std::string> revealing_xattr(const Entry& entry);

struct RevealingFile {
  std::string path;
  std::string xattr;
};

/// A warning for each of the first few, and how many more there are.
std::vector<std::string> revealing_warnings(const std::vector<RevealingFile>& files);

}  // namespace lade
