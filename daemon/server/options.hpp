// What the daemon is started with: buildkitd's flags and its buildkitd.toml.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/address_range.hpp"
#include "registry/auth/config.hpp"
#include "snapshotter/gc/gc.hpp"

namespace lade {

/// One rule of garbage collection; an absent limit is none.
struct GcPolicy {
  bool all = false;
  std::set<std::string> types;  ///< BuildKit's names; empty: all
  std::optional<int64_t> keep_seconds;
  std::optional<SpaceLimit> space;
};

struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string ca;  ///< whose clients may come; empty: all

  bool any() const { return !certificate.empty() || !key.empty() || !ca.empty(); }
};

/// Certificates for one registry.
struct RegistryTls {
  std::vector<std::string> ca;
  std::vector<std::pair<std::string, std::string>> keypairs;  ///< key, certificate
};

struct DaemonOptions {
  std::string root;  ///< empty: lade's default
  std::vector<std::string> addresses;
  std::string group;  ///< owns unix sockets; empty: this user's
  TlsFiles tls;
  bool insecure_tcp = false;  ///< tcp addresses other than loopback may do without TLS
  bool local_images = false;  ///< FROM finds names of this machine's store first
  bool debug = false;
  std::set<std::string> entitlements;
  std::map<std::string, std::string> labels;
  std::vector<std::string> platforms;
  bool gc = true;
  std::vector<GcPolicy> gc_policies;
  int max_parallelism = 0;
  int64_t pids = 0;  ///< processes that a step may have at a time; 0: any number
  std::vector<AddressRange> network_deny;  ///< what no step reaches, beside this machine itself
  bool network_deny_sources = false;       ///< nor does what lade fetches for a build
  std::vector<RegistryRule> registries;
  std::map<std::string, RegistryTls> registry_tls;
  std::string provenance_directory = "/etc/buildkit/provenance.d";  ///< of JSON objects
  bool as_buildkitd = false;       ///< started under that name: the root may have files of others
  std::vector<std::string> notes;  ///< what was asked for in vain, to be printed
};

/// Reads the command line and the configuration that it names (or the default one, where it is
/// there). Throws Error(usage) naming what is wrong or not supported. nullopt after --help and
/// --version.
std::optional<DaemonOptions> read_options(int argc, char** argv);

/// Adds what a buildkitd.toml says, where the command line said nothing. Throws Error.
void read_config(const std::string& text, const std::string& file, DaemonOptions& options);

}  // namespace lade
