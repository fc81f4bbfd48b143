// The command line; the file is options_config.cpp's.
#include "daemon/server/options.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/man_page.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "builder/options/usage.hpp"
#include "parser/grammar.hpp"
#include "registry/net/http.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

constexpr const char* kDefaultAddress = "unix:///run/lade/buildkitd.sock";
constexpr const char* kBuildkitAddress = "unix:///run/buildkit/buildkitd.sock";
constexpr const char* kDefaultConfig = "/etc/buildkit/buildkitd.toml";

bool is_root() {
  return ::geteuid() == 0;
}

/// An ordinary user's, as rootless buildkitd has it.
std::string default_config() {
  if (is_root()) return kDefaultConfig;
  auto place = sys::getenv("XDG_CONFIG_HOME");
  if (!place.starts_with('/')) place = sys::getenv("HOME") + "/.config";
  return place + "/buildkit/buildkitd.toml";
}

std::string default_address(bool as_buildkitd) {
  if (is_root()) return as_buildkitd ? kBuildkitAddress : kDefaultAddress;
  const auto place = sys::getenv("XDG_RUNTIME_DIR");
  if (!place.starts_with('/')) {
    Error error("there is no place for the daemon's socket: XDG_RUNTIME_DIR is not set",
                ErrorKind::usage);
    error.set_hint("log in as the user, or give --addr unix:///PATH");
    throw error;
  }
  return fmt::format("unix://{}/{}/buildkitd.sock", place, as_buildkitd ? "buildkit" : "lade");
}

/// A root that buildkitd was given has files of other owners in it; lade's are below it then.
std::string state_root(const std::string& given, bool as_buildkitd) {
  return StateDir::default_root(given) + (as_buildkitd && !given.empty() ? "/lade" : "");
}

/// As given.
struct Flags {
  std::string config;
  std::string root;
  std::vector<std::string> addresses;
  std::string group;
  bool debug = false;
  std::string log_format = "text";
  std::vector<std::string> entitlements;
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_ca;
  bool insecure_tcp = false;
  bool local_images = false;
  std::string oci_worker = "auto";
  std::vector<std::string> labels;
  std::string snapshotter = "auto";
  std::vector<std::string> platforms;
  std::string network = "auto";
  std::vector<std::string> network_deny;
  bool network_deny_sources = false;
  int max_parallelism = 0;
  std::string pids;
  std::string gc = "true";
  std::string keep_storage;
  std::string containerd_worker = "auto";
};

void add_flags(CommandLine& app, Flags& flags) {
  app.set_version_flag("--version", "lade daemon " LADE_VERSION " (BuildKit v0.32.2's protocol)",
                       "Print the version");
  app.add_option(
      "--config", flags.config,
      "Configuration, as buildkitd.toml (default: " + std::string(kDefaultConfig) +
          ", or for an ordinary user ~/.config/buildkit/buildkitd.toml, if it is there)");
  app.add_option("--root", flags.root,
                 "State directory, shared with the command line (default: as lade's)");
  app.add_list("--addr", flags.addresses,
               "Where to listen: unix:///PATH, tcp://HOST:PORT, or fd:// for systemd's sockets; "
               "may be given "
               "several times "
               "(default: " +
                   std::string(kDefaultAddress) +
                   ", or for an ordinary user $XDG_RUNTIME_DIR/lade/buildkitd.sock)");
  app.add_option("--group", flags.group, "Group, by name or number, that may use unix sockets");
  app.add_flag("--debug", flags.debug, "Say more");
  app.add_option("--log-format", flags.log_format, "text, the only one there is");
  app.add_list("--allow-insecure-entitlement", flags.entitlements,
               "What builds may be given: network.host, security.insecure");
  app.add_option("--tlscert", flags.tls_certificate, "Certificate for tcp addresses");
  app.add_option("--tlskey", flags.tls_key, "Its key");
  app.add_option("--tlscacert", flags.tls_ca, "Authority that clients' certificates must be of");
  app.add_flag("--allow-insecure-tcp", flags.insecure_tcp,
               "Listen at tcp addresses other than loopback without TLS: whoever reaches them can "
               "run steps on this machine");
  app.add_flag("--local-images", flags.local_images,
               "Let FROM find names of this machine's images before registries are asked: every "
               "client can give such names");
  app.add_option("--oci-worker", flags.oci_worker, "true or auto: it is the only worker");
  app.add_list("--oci-worker-labels", flags.labels, "Label of the worker, K=V");
  app.add_option("--oci-worker-snapshotter", flags.snapshotter, "auto or overlayfs");
  app.add_list("--oci-worker-platform", flags.platforms,
               "Platforms that the worker is said to have");
  app.add_option("--oci-worker-net", flags.network, "auto: steps have a network of their own");
  app.add_list("--network-deny", flags.network_deny,
               "Addresses that steps cannot reach, beside this machine's own: CIDR[,CIDR...] "
               "(169.254.0.0/16,10.0.0.0/8); may be given several times");
  app.add_flag("--network-deny-sources", flags.network_deny_sources,
               "Refuse such addresses, and this machine's own, also to what the daemon fetches for "
               "builds: ADD of URLs, git, registries, caches");
  app.add_option("--oci-max-parallelism", flags.max_parallelism,
                 "Steps of one build running at once (default: no limit)");
  app.add_option("--step-pids", flags.pids,
                 "Processes and threads that a step may have at a time (default: no limit)");
  app.add_option("--oci-worker-gc", flags.gc, "Collect garbage by the policies (default: true)");
  app.add_option("--oci-worker-gc-keepstorage", flags.keep_storage,
                 "What cache may take, in MB or with a unit");
  app.add_option("--containerd-worker", flags.containerd_worker, "false or auto: there is none");
}

bool truth(const char* flag, const std::string& text) {
  const auto value = parser::boolean(text);
  if (!value) throw_usage(fmt::format("{} {} is neither true nor false", flag, text));
  return *value;
}

/// The flags that can only have one meaning here.
void check_fixed(const Flags& flags) {
  if (flags.oci_worker != "auto" && !truth("--oci-worker", flags.oci_worker)) {
    throw_usage("--oci-worker=false is not supported: it is the only worker");
  }
  if (flags.containerd_worker != "auto" && truth("--containerd-worker", flags.containerd_worker)) {
    throw_usage("--containerd-worker=true is not supported: lade has its own worker");
  }
  if (flags.snapshotter != "auto" && flags.snapshotter != "overlayfs") {
    throw_usage(fmt::format("--oci-worker-snapshotter {} is not supported: use overlayfs",
                            flags.snapshotter));
  }
  if (flags.network != "auto" && flags.network != "sandbox") {
    throw_usage(fmt::format("--oci-worker-net {} is not supported: use auto", flags.network));
  }
  if (flags.log_format != "text") {
    throw_usage(fmt::format("--log-format {} is not supported: use text", flags.log_format));
  }
}

void check_entitlements(const std::set<std::string>& names) {
  for (const auto& name : names) {
    if (name != "network.host" && name != "security.insecure") {
      throw_usage(
          fmt::format("entitlement {} is not one of: network.host, security.insecure", name));
    }
  }
}

/// A client may run whatever it likes, as root in a sandbox, and read what others have built.
void check_addresses(DaemonOptions& options) {
  if (options.tls.any()) return;
  for (const auto& address : options.addresses) {
    constexpr std::string_view kTcp = "tcp://";
    if (!address.starts_with(kTcp)) continue;
    if (is_loopback(address.substr(kTcp.size()))) {
      options.notes.push_back(address + " has no TLS: every user of this machine can use it");
      continue;
    }
    if (options.insecure_tcp) {
      options.notes.push_back(address + " has no TLS: whoever reaches it can use it");
      continue;
    }
    Error error(fmt::format("{} has no TLS, so that whoever reaches it could use it", address),
                ErrorKind::usage);
    error.set_hint(
        "give --tlscert, --tlskey and --tlscacert, listen at 127.0.0.1 or a unix socket, or say "
        "--allow-insecure-tcp");
    throw error;
  }
}

DaemonOptions options_of(const Flags& flags, bool as_buildkitd) {
  check_fixed(flags);
  DaemonOptions out;
  out.root = flags.root;
  out.addresses = flags.addresses;
  out.group = flags.group;
  out.debug = flags.debug;
  out.tls = {flags.tls_certificate, flags.tls_key, flags.tls_ca};
  out.insecure_tcp = flags.insecure_tcp;
  out.local_images = flags.local_images;
  for (const auto& list : flags.entitlements) {
    for (const auto& name : split(list, ',')) out.entitlements.insert(name);
  }
  for (const auto& list : flags.labels) {
    for (const auto& label : split(list, ',')) {
      out.labels.insert(key_value("--oci-worker-labels", label));
    }
  }
  for (const auto& list : flags.platforms) {
    for (const auto& platform : split(list, ',')) {
      out.platforms.push_back(
          of_option("--oci-worker-platform", [&] { return Platform::parse(platform).str(); }));
    }
  }
  if (flags.max_parallelism < 0) throw_usage("--oci-max-parallelism cannot be negative");
  out.max_parallelism = flags.max_parallelism;
  if (!flags.pids.empty()) {
    out.pids = of_option("--step-pids", [&] { return parse_pids("pids", flags.pids); });
  }
  out.network_deny_sources = flags.network_deny_sources;
  out.network_deny = parse_network_deny(flags.network_deny);
  out.gc = truth("--oci-worker-gc", flags.gc);
  if (!flags.keep_storage.empty()) {
    const bool plain = flags.keep_storage.find_first_not_of("0123456789") == std::string::npos;
    GcPolicy policy;
    policy.all = true;
    policy.space = of_option("--oci-worker-gc-keepstorage", [&] {
      return SpaceLimit{.reserved = parse_disk_share(flags.keep_storage + (plain ? "m" : ""))};
    });
    out.gc_policies.push_back(policy);
  }
  const bool given = !flags.config.empty();
  const std::string path = given ? flags.config : default_config();
  if (const auto text = sys::read_file(path, 1u << 20)) {
    read_config(*text, path, out);
  } else if (given) {
    throw_usage("--config: no such file " + lade::quoted(path));
  }
  check_entitlements(out.entitlements);
  out.as_buildkitd = as_buildkitd;
  if (out.addresses.empty()) {
    out.addresses.push_back(default_address(as_buildkitd));
  }
  check_addresses(out);
  out.root = state_root(out.root, as_buildkitd);
  return out;
}

ManPage page_of_daemon() {
  return {.name = "lade-daemon",
          .section = 8,
          .version = "lade " LADE_VERSION,
          .sections = {{"files",
                        {"/run/lade/buildkitd.sock: where clients of root's daemon find it.",
                         "$XDG_RUNTIME_DIR/lade/buildkitd.sock: that of an ordinary user's.",
                         "/etc/buildkit/buildkitd.toml, ~/.config/buildkit/buildkitd.toml: the "
                         "configuration, as buildkitd has it.",
                         "/var/lib/lade, ~/.local/share/lade: the state directory, which the "
                         "command line shares."}}},
          .see_also = {"lade(1)"}};
}

}  // namespace

std::optional<DaemonOptions> read_options(int argc, char** argv) {
  CommandLine app("Builds images for clients of BuildKit: docker buildx, buildctl and the like",
                  "lade daemon");
  app.set_help_flag("-h,--help", "Print this help");
  Flags flags;
  add_flags(app, flags);
  bool wants_page = false;
  app.add_flag("--man-page", wants_page, "Print the manual page, for packages").hidden();
  try {
    if (!app.parse({argv + 1, argv + argc})) return std::nullopt;
    if (wants_page) {
      fmt::print("{}", man_page(app, page_of_daemon()));
      return std::nullopt;
    }
  } catch (Error& error) {
    error.set_hint("lade daemon --help lists what is supported of buildkitd's flags");
    throw;
  }
  return options_of(flags, base_name(argv[0]) == "buildkitd");
}

}  // namespace lade
