// The options of `lade build`, as given and as understood.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/build/call.hpp"
#include "app/build/ssh_agents.hpp"
#include "app/ui/progress.hpp"
#include "base/command_line.hpp"
#include "builder/attest/provenance.hpp"
#include "builder/options/cache_options.hpp"
#include "builder/options/output.hpp"
#include "snapshotter/gc/space_limit.hpp"
#include "solver/executor/network/network_reach.hpp"
#include "solver/lower/lower.hpp"
#include "solver/source/image.hpp"

namespace lade {

/// As the command line gave them.
struct BuildFlags {
  std::string context;
  std::string file;
  std::vector<std::string> tags;
  std::string target;
  std::vector<std::string> build_args;
  std::vector<std::string> build_contexts;
  std::vector<std::string> labels;
  std::vector<std::string> outputs;
  std::vector<std::string> secrets;
  std::vector<std::string> add_hosts;
  std::vector<std::string> allow;
  std::vector<std::string> annotations;
  std::vector<std::string> attest;
  std::string provenance;
  std::string sbom;
  std::vector<std::string> cache_from;
  std::vector<std::string> cache_to;
  std::vector<std::string> network_deny;
  std::vector<std::string> no_cache_filters;
  std::vector<std::string> platforms;
  std::vector<std::string> resources;
  std::map<std::string, std::string> own_resources;  ///< those of docker's that have a flag each
  std::vector<std::string> retries;
  std::vector<std::string> ssh;
  std::vector<std::string> timeouts;
  std::vector<std::string> ulimits;
  // Of docker's, what lade has no use for; a warning says so, or why it is refused.
  std::string builder;
  std::string isolation;
  std::vector<std::string> policies;
  std::vector<std::string> security_options;
  bool compress = false;
  bool no_content_trust = true;
  bool remove_containers = true;
  bool squash = false;
  std::string cgroup_parent;
  std::string iidfile;
  std::string metadata_file;
  std::string network = "default";
  std::string shm_size;
  std::string max_storage;
  std::string keep_storage;
  std::string progress = "auto";
  std::string pull = "missing";
  int max_parallelism = 0;
  bool load = false;
  bool no_cache = false;
  bool quiet = false;
  bool debug = false;
  bool check = false;
  bool push = false;
  bool offline = false;
  bool always_so = false;  ///< what is so whether it is asked for or not
  std::string call = "build";
};

/// Checked. Paths are as given, relative ones to the working directory.
struct BuildRequest {
  std::string context;
  std::string file;                ///< empty: CONTEXT/Dockerfile; "-": standard input
  std::vector<std::string> names;  ///< normalised: "docker.io/library/app:latest"
  std::vector<Output> outputs;
  std::vector<CachePlace> cache_from;
  std::vector<CacheTarget> cache_to;
  std::map<std::string, std::string> secrets;
  std::vector<SshOption> ssh;
  std::map<std::string, std::string> ssh_sockets;  ///< by id, once the agents of `ssh` are there
  std::vector<Platform> platforms;                 ///< empty: this machine's
  bool force_index = false;                        ///< an index even for one platform
  std::string iidfile;                             ///< where the image's ID goes; empty: nowhere
  std::string metadata_file;
  LowerOptions lower;  ///< without ignore patterns and platform
  /// Build arguments that nobody gave for this build: the machine's proxies.
  std::set<std::string> own_args;
  PullPolicy pull = PullPolicy::missing;
  bool offline = false;  ///< nothing is asked of any registry or server
  int max_parallelism = 0;
  NetworkReach network_reach;
  std::optional<uint64_t> max_storage;    ///< bytes of the state directory, kept after the build
  std::optional<DiskShare> keep_storage;  ///< what build cache may take then
  bool limits_cache = true;  ///< without either of them build cache keeps to a share of the disk
  bool cache_only = false;   ///< that no output is asked for is meant
  ProgressMode progress = ProgressMode::plain;
  std::vector<std::string> warnings;  ///< about the options
  bool debug = false;                 ///< warnings are shown in full
  Call call;
  AttestOptions attest;

  /// The image's ID is printed, and warnings are not.
  bool quiet() const { return progress == ProgressMode::quiet; }
};

void add_build_flags(CommandLine& command, BuildFlags& flags);

/// Throws Error(usage) naming the option.
BuildRequest check_build_flags(const BuildFlags& flags);

}  // namespace lade
