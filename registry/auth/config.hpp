// registries.conf: mirrors, other locations, blocked and insecure registries
// (containers-registries.conf(5), version 2; of version 1 what is insecure and blocked).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry/auth/files.hpp"
#include "registry/net/endpoint.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// What is configured for one prefix of image names.
struct RegistryRule {
  enum class MirrorUse { all, digest_only, tag_only };
  struct Mirror {
    std::string location;
    bool insecure = false;
    MirrorUse use = MirrorUse::all;
  };

  std::string prefix;    ///< "example.com/foo", "*.example.com"
  std::string location;  ///< what takes the prefix's place; empty: the prefix itself
  bool insecure = false;
  bool blocked = false;
  std::vector<Mirror> mirrors;
};

/// Immutable once loaded. Short names never get here: they are docker.io's, as for Docker, so
/// unqualified-search-registries and aliases are not read.
class RegistryConfig {
 public:
  /// Reads what there is. Throws Error naming the file and the line.
  static RegistryConfig load(const RegistryFiles& files);

  /// Adds the rules of one file's text; one with the prefix of an earlier one takes its place.
  void add(std::string_view toml, const std::string& file);

  void add(RegistryRule rule);

  /// The rule with the longest prefix that matches; null if none does. Borrows.
  const RegistryRule* find(const Reference& reference) const;

  /// Where to pull from: mirrors in their order, then the location. Throws Error for what is
  /// blocked.
  std::vector<RegistryEndpoint> pull_endpoints(const Reference& reference) const;
  /// Where to push to: never a mirror nor another location.
  RegistryEndpoint push_endpoint(const Reference& reference) const;

 private:
  std::vector<RegistryRule> rules_;
};

}  // namespace lade
