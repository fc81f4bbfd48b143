// What lowering is told, whom it asks, and what it gives.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "parser/ast.hpp"
#include "snapshotter/content/image_config.hpp"
#include "solver/graph/definition.hpp"
#include "solver/lower/remote.hpp"

namespace lade {

namespace parser {
class Linter;
}
struct Outline;

/// What a base image is, as far as lowering needs to know.
struct BaseImage {
  std::string
      identifier;       ///< for SourceOp: "docker-image://docker.io/library/debian:12@sha256:..."
  std::string display;  ///< for progress: "docker.io/library/debian:12@sha256:..."
  ImageConfig config;
  /// What identifies its layers, if that is not the chain ID of the config's.
  std::string chain{};
};

/// Finds base images; the one place where lowering meets the outside. May block on the network.
class ImageResolver {
 public:
  virtual ~ImageResolver() = default;
  /// `source` is "docker-image://NAME", "oci-layout://PATH[:TAG|@DIGEST]", or the "result://ID" of
  /// another build. Throws Error.
  virtual BaseImage resolve(const std::string& source, const Platform& platform) = 0;
};

/// The source that a base image is: told apart by its layers.
SourceOp source_of(const BaseImage& base);

/// An image that looks through results and says what is in them (solver/lower/scan.hpp).
struct SbomScanner {
  std::string image;                              ///< Reference::str()
  std::map<std::string, std::string> parameters;  ///< it finds them as BUILDKIT_SCAN_<name>
};

struct LowerOptions {
  std::string target;  ///< empty: the last stage
  std::map<std::string, std::string> build_args;
  std::map<std::string, std::string> contexts;  ///< named contexts: name -> value as given
  std::map<std::string, std::string> labels;    ///< --label
  Platform build_platform = Platform::host();
  std::optional<Platform> target_platform;   ///< absent: the build platform
  std::vector<std::string> ignore_patterns;  ///< .dockerignore of the main context
  std::vector<std::pair<std::string, std::string>> extra_hosts;
  OpNetwork network = OpNetwork::sandbox;  ///< for RUNs without --network
  bool allow_host_network = false;         ///< --allow network.host
  bool allow_insecure = false;             ///< --allow security.insecure
  bool no_cache = false;
  /// Stages (by name), or lines of the Dockerfile (by number), whose steps run again whatever is
  /// cached.
  std::vector<std::string> no_cache_filter;
  bool name_platforms = false;  ///< steps' names start with their platform: several are built
  std::string hostname;         ///< of steps; the build argument BUILDKIT_SANDBOX_HOSTNAME beats it
  uint64_t shm_bytes = 0;       ///< size of /dev/shm in steps; 0: the default
  std::vector<Ulimit> ulimits;
  std::string cgroup_parent;
  CgroupLimits resources;  ///< of each step
  /// --retry and --timeout: the value for a stage by its name, under "" for all others.
  std::map<std::string, int> retries;
  std::map<std::string, std::chrono::nanoseconds> timeouts;
  bool main_context = true;  ///< false: there is no build context
  /// The main context, if it is no directory of the user's.
  std::optional<ContextSource> context_source;
  /// Tells the time of a git or HTTP source, if it has one: SOURCE_DATE_EPOCH may name a context,
  /// or a stage that only ADDs such a source. Empty: it must be a number.
  std::function<std::optional<int64_t>(const SourceOp& source)> source_time;
  bool all_stages = false;  ///< go through every stage, whether the target needs it or not
  /// Gets the warnings that need to know variables and base images; null: nothing is checked. If
  /// they are to be errors, they are one before anything runs.
  parser::Linter* linter = nullptr;
  std::optional<SbomScanner> scanner;  ///< an SBOM is wanted
  Outline* outline = nullptr;          ///< filled in if it is there (solver/lower/outline.hpp)
};

struct LoweredImage {
  Definition definition;
  Edge root;  ///< the target's root filesystem
  ImageConfig
      config;  ///< diff_ids are the exporter's to fill in; this build's history has no `created`
  Platform platform;
  std::optional<int64_t> source_date_epoch;  ///< seconds; from the build-arg of that name
  std::optional<Edge> scan;                  ///< the directory with what LowerOptions::scanner says
  std::vector<std::string> unused_options{};  ///< what to warn of (solver/lower/unused.hpp)
};

}  // namespace lade
