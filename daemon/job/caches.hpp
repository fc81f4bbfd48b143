// Cache imports and exports as clients of BuildKit spell them: a type and attributes.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "builder/build_cache.hpp"
#include "daemon/session/session_calls.hpp"
#include "registry/client.hpp"
#include "solver/cache/cache_import.hpp"

namespace lade {

/// Something to cache from or to, as BuildKit spells it.
struct CacheEntry {
  std::string type;
  std::map<std::string, std::string> attrs;
  auto operator<=>(const CacheEntry&) const = default;
};

/// Throws Error for a type or an attribute that is not supported. `session` may be null.
CacheImports::Origin open_cache_import(const CacheEntry& entry, SessionCalls* session,
                                       const RegistryOptions& registries,
                                       std::shared_ptr<RegistryClient>& client);

/// An export, and what it has written in the end, for the client's answer.
struct OpenedCacheExport {
  CacheDestination destination;
  /// The manifest that was written to a store of the client's; empty for others.
  std::shared_ptr<std::optional<Descriptor>> manifest;
};

OpenedCacheExport open_cache_export(const CacheEntry& entry, SessionCalls* session,
                                    const RegistryOptions& registries,
                                    std::shared_ptr<RegistryClient>& client);

}  // namespace lade
