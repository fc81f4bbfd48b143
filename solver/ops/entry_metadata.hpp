// What an entry of an index says of a file, set on one.
#pragma once

#include <string>

#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// Owner, mode and extended attributes of an open file or directory; `path` is its name in errors.
/// Attributes that the filesystem cannot hold are left out, as BuildKit does.
void set_metadata(int fd, const Entry& entry, const std::string& path);
/// Of `name` in `directory` itself, not of what it may link to.
void set_times(int directory, const std::string& name, const Entry& entry);

}  // namespace lade
