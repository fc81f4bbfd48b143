// A shared cache in a directory (type=local of --cache-to and --cache-from): an OCI layout.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "registry/cache_storage.hpp"

namespace lade {

/// The cache called `name` (its org.opencontainers.image.ref.name in index.json) of the layout
/// `directory`, which is made when it is first written to. Other manifests there are left alone.
/// `digest` may choose a manifest instead of the name, for reading.
std::shared_ptr<CacheStorage> directory_cache(const std::string& directory, const std::string& name,
                                              std::optional<Digest> digest = {});

}  // namespace lade
