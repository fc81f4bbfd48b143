// --cache-from and --cache-to: where caches are shared with other machines. Spelled as docker
// buildx has them.
#pragma once

#include <optional>
#include <string>

#include "exporter/exporter.hpp"

namespace lade {

enum class CacheType { registry, local };

/// Where a cache is.
struct CachePlace {
  CacheType type = CacheType::registry;
  std::string where;             ///< registry: a reference; local: an absolute directory
  std::string tag;               ///< local: the name in its index.json
  std::optional<Digest> digest;  ///< local: the manifest, in the tag's place

  /// For people, and for records to remember where they came from: "registry:host/repo:tag". The
  /// same place has the same name in --cache-from and --cache-to.
  std::string name() const;
};

struct CacheTarget {
  CachePlace place;
  bool all_steps = false;                         ///< mode=max
  bool ignore_error = false;                      ///< a failed export is a warning
  bool reexport = false;                          ///< also what other caches gave
  std::optional<CompressionOptions> compression;  ///< absent: as the image's layers
};

/// "type=registry,ref=...", "type=local,src=DIR[,tag=][,digest=]", or a bare reference. Throws
/// Error(usage) naming what is wrong.
CachePlace parse_cache_from(const std::string& text);
/// "type=registry,ref=...[,mode=max]...", "type=local,dest=DIR...", or a bare reference. Throws
/// Error(usage).
CacheTarget parse_cache_to(const std::string& text);

}  // namespace lade
