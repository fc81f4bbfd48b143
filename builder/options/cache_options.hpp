// --cache-from and --cache-to: where caches are shared with other machines. Spelled as docker
// buildx has them.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "exporter/exporter.hpp"
#include "registry/s3/s3_cache.hpp"

namespace lade {

enum class CacheType {
  registry,
  local,
  s3,
  inlined,  ///< in the image itself; to write only, to be read as the registry's
};

/// Where a cache is. May hold secrets.
struct CachePlace {
  CacheType type = CacheType::registry;
  std::string where;             ///< registry: a reference; local: an absolute directory
  std::string tag;               ///< local: the name in its index.json
  std::optional<Digest> digest;  ///< local: the manifest, in the tag's place
  S3CacheOptions s3;
  bool mounts = false;    ///< with the cache mounts of the steps
  bool insecure = false;  ///< registry: plain http and unverified certificates will do

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
  size_t parallelism = 4;                         ///< layers that are sent at once
};

/// The same as the options below, in key and value: what clients of the daemon send. Throw
/// Error(usage).
using CacheAttributes = std::map<std::string, std::string>;
CachePlace cache_source(const CacheAttributes& attributes);
CacheTarget cache_target(const CacheAttributes& attributes);

/// "type=registry,ref=...", "type=local,src=DIR[,tag=][,digest=]", "type=s3,bucket=...", or a bare
/// reference. Throws Error(usage) naming what is wrong.
CachePlace parse_cache_from(const std::string& text);
/// The same with "dest=" for "src=", and "mode=max"...; or "type=inline". Throws Error(usage).
CacheTarget parse_cache_to(const std::string& text);

}  // namespace lade
