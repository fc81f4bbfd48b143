#include "app/run/run_options.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>

#include "app/run/terminal_keys.hpp"
#include "app/ui/flags.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "builder/options/csv.hpp"
#include "builder/options/host_gateway.hpp"
#include "parser/grammar.hpp"
#include "registry/auth/files.hpp"
#include "registry/net/proxies.hpp"

namespace lade {
namespace {

/// "K=V", or "K" for the variable of lade's own environment; an unset one is left to the image.
void add_variable(const std::string& text, std::vector<std::string>& env) {
  const auto equals = text.find('=');
  if (equals == 0 || text.empty()) throw_usage("--env: " + lade::quoted(text) + " has no name");
  if (equals != std::string::npos) {
    env.push_back(text);
  } else if (const char* value = std::getenv(text.c_str())) {
    env.push_back(text + "=" + value);
  } else {
    env.push_back(text);
  }
}

/// Lines as docker has them: no quotes, no expansion, comments where a line begins with "#".
void read_env_file(const std::string& path, std::vector<std::string>& env) {
  const auto text = sys::read_file(path, 16u << 20);
  if (!text) throw_usage("--env-file: there is no file " + lade::quoted(path));
  for (const auto& raw : split(*text, '\n')) {
    std::string line = raw;
    if (line.ends_with('\r')) line.pop_back();
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty() || line[0] == '#') continue;
    const std::string name = line.substr(0, line.find('='));
    if (name.find_first_of(" \t") != std::string::npos) {
      throw_usage(fmt::format("--env-file {}: the name {} has blanks in it", lade::quoted(path),
                              lade::quoted(name)));
    }
    add_variable(line, env);
  }
}

std::string container_path(const char* option, const std::string& path) {
  if (!path.starts_with('/')) {
    throw_usage(fmt::format("{}: {} is not an absolute path", option, lade::quoted(path)));
  }
  const std::string clean = clean_path(path);
  if (clean == "/") throw_usage(fmt::format("{}: nothing can be mounted on /", option));
  return clean;
}

/// "SRC:DST[:ro|rw|z|Z]" or "DST".
RunVolume read_volume(const std::string& text) {
  const auto parts = split(text, ':');
  if (parts.size() > 3) throw_usage("--volume: " + lade::quoted(text) + " has too many colons");
  RunVolume volume;
  if (parts.size() == 1) {
    volume.type = RunVolume::Type::anonymous;
    volume.target = container_path("--volume", parts[0]);
    return volume;
  }
  if (!parts[0].starts_with('/') && !parts[0].starts_with('.') && !parts[0].starts_with('~')) {
    throw_usage("--volume: lade keeps no named volumes like " + lade::quoted(parts[0]),
                "give a directory: -v /path or -v ./path");
  }
  volume.source = join_path(sys::current_directory(), parts[0]);
  volume.target = container_path("--volume", parts[1]);
  volume.make_source = true;
  if (parts.size() < 3) return volume;
  for (const auto& option : split(parts[2], ',')) {
    // Labels for SELinux, which Debian's kernels do not enforce: docker takes them there, too.
    if (option == "rw" || option == "z" || option == "Z") continue;
    if (option != "ro") {
      throw_usage(fmt::format("--volume: {} is not one of: ro, rw, z, Z", lade::quoted(option)));
    }
    volume.read_only = true;
  }
  return volume;
}

uint32_t read_mode(const std::string& text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("01234567") != std::string::npos) {
    throw_usage(fmt::format("tmpfs: the mode {} is not octal", lade::quoted(text)));
  }
  return static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 8)) & 07777;
}

bool is_true(const std::string& value) {
  if (value.empty()) return true;
  const auto known = parser::boolean(value);
  if (!known)
    throw_usage(fmt::format("--mount: {} is neither true nor false", lade::quoted(value)));
  return *known;
}

RunVolume read_mount(const std::string& text) {
  RunVolume volume;
  volume.type = RunVolume::Type::anonymous;
  std::string type = "volume";
  for (const auto& field : parse_csv(text)) {
    const auto equals = field.find('=');
    const std::string key = to_lower(field.substr(0, equals));
    const std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    if (key == "type") {
      type = value;
    } else if (key == "source" || key == "src") {
      volume.source = value;
    } else if (key == "target" || key == "dst" || key == "destination") {
      volume.target = container_path("--mount", value);
    } else if (key == "readonly" || key == "ro") {
      volume.read_only = is_true(value);
    } else if (key == "tmpfs-size") {
      volume.size_bytes = parse_bytes(value);
    } else if (key == "tmpfs-mode") {
      volume.mode = read_mode(value);
    } else {
      throw_usage("--mount has no option " + lade::quoted(key));
    }
  }
  if (volume.target.empty()) throw_usage("--mount needs target=PATH");
  if (type == "bind") {
    volume.type = RunVolume::Type::bind;
    if (volume.source.empty()) throw_usage("--mount type=bind needs source=PATH");
    volume.source = join_path(sys::current_directory(), volume.source);
  } else if (type == "tmpfs") {
    volume.type = RunVolume::Type::tmpfs;
    if (!volume.source.empty()) throw_usage("--mount type=tmpfs has no source");
  } else if (type != "volume") {
    throw_usage(fmt::format("--mount type={} is not one of: bind, tmpfs, volume", type));
  } else if (!volume.source.empty()) {
    throw_usage("--mount: lade keeps no named volumes like " + lade::quoted(volume.source),
                "give a directory with type=bind");
  }
  return volume;
}

/// "PATH[:size=64m,mode=1777,ro]"
RunVolume read_tmpfs(const std::string& text) {
  RunVolume volume;
  volume.type = RunVolume::Type::tmpfs;
  const auto colon = text.find(':');
  volume.target = container_path("--tmpfs", text.substr(0, colon));
  if (colon == std::string::npos) return volume;
  for (const auto& option : split(text.substr(colon + 1), ',')) {
    if (option.starts_with("size=")) {
      volume.size_bytes = parse_bytes(option.substr(5));
    } else if (option.starts_with("mode=")) {
      volume.mode = read_mode(option.substr(5));
    } else if (option == "ro") {
      volume.read_only = true;
    } else if (option != "rw") {
      throw_usage(
          fmt::format("--tmpfs: {} is not one of: size=, mode=, ro, rw", lade::quoted(option)));
    }
  }
  return volume;
}

void refuse_what_needs_a_daemon(const RunFlags& flags) {
  if (flags.detach) {
    throw_usage("--detach: lade has no daemon that would keep a container running",
                "leave it in the foreground, or put it into the background with your shell's &");
  }
  if (!flags.publish.empty()) {
    throw_usage("--publish: lade publishes no ports",
                "with --network host the container's ports are the host's");
  }
  if (!flags.name.empty()) {
    throw_usage("--name: lade keeps no containers that could have names");
  }
}

void read_volumes(const RunFlags& flags, RunRequest& request) {
  auto& out = request.volumes;
  for (const auto& text : flags.volumes) {
    out.push_back(of_option("--volume", [&] { return read_volume(text); }));
  }
  for (const auto& text : flags.mounts) {
    out.push_back(of_option("--mount", [&] { return read_mount(text); }));
  }
  for (const auto& text : flags.tmpfs) {
    out.push_back(of_option("--tmpfs", [&] { return read_tmpfs(text); }));
  }
  const auto depth = [](const RunVolume& volume) {
    return std::count(volume.target.begin(), volume.target.end(), '/');
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const RunVolume& a, const RunVolume& b) { return depth(a) < depth(b); });
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t j = i + 1; j < out.size(); ++j) {
      if (out[i].target == out[j].target) {
        throw_usage("two mounts have the target " + lade::quoted(out[i].target));
      }
    }
  }
}

/// The machine's proxies, as docker gives them to containers: each in upper and in lower case,
/// unless a variable of that very name is given.
void add_container_proxies(std::vector<std::string>& env) {
  const auto is_given = [&](const std::string& name) {
    return std::any_of(env.begin(), env.end(), [&](const std::string& variable) {
      return variable.substr(0, variable.find('=')) == name;
    });
  };
  std::map<std::string, std::string> proxies;
  try {
    proxies = configured_proxies(RegistryFiles::of_user().docker_config, docker_host());
  } catch (const Error& error) {
    fmt::print(stderr, "WARNING: no proxies are used: {}\n", error.message());
  }
  for (const auto& [name, value] : proxies) {
    for (const auto& variable : {name, to_lower(name)}) {
      if (!is_given(variable)) env.push_back(fmt::format("{}={}", variable, value));
    }
  }
}

}  // namespace

void add_run_flags(CommandLine& command, RunFlags& flags) {
  // -h is docker's --hostname.
  command.set_help_flag("--help", "Print this help");
  command.add_list("--add-host", flags.add_hosts,
                   "Line of /etc/hosts, NAME:ADDRESS; NAME:host-gateway for this machine");
  command.add_flag("-d,--detach", flags.detach, "Not possible: there is no daemon");
  command.add_option("--detach-keys", flags.detach_keys,
                     "Keys that end a container with -it (default: ctrl-p,ctrl-q)");
  command.add_option("--entrypoint", flags.entrypoint, "Program to run instead of the image's");
  command.add_list("-e,--env", flags.env,
                   "Environment variable, K=V; K takes it from lade's environment");
  command.add_list("--env-file", flags.env_files, "File of environment variables");
  command.add_option("-h,--hostname", flags.hostname, "Host name of the container");
  command.add_flag("--init", flags.init, "Run an init that reaps processes and passes signals on");
  command.add_flag("-i,--interactive", flags.interactive, "Pass standard input on");
  command.add_list(
      "--mount", flags.mounts,
      "Mount: type=bind|tmpfs|volume,source=PATH,target=PATH[,readonly][,tmpfs-size=SIZE]");
  command.add_option("--name", flags.name, "Not possible: no containers are kept");
  command.add_option("--network,--net", flags.network,
                     "Network: default (outbound only), none, host");
  command.add_list("--network-deny", flags.network_deny,
                   "Addresses that the default network does not reach, beside this machine's own: "
                   "CIDR[,CIDR...]");
  command.add_option("--pids-limit", flags.pids_limit,
                     "Processes and threads that may be in the container at a time (-1: any "
                     "number)");
  command.add_option("--platform", flags.platform, "Platform of the image, os/arch[/variant]");
  command.add_flag("--privileged", flags.privileged,
                   "All capabilities, no system call filter, the host's devices");
  command.add_list("-p,--publish", flags.publish, "Not possible: see --network host");
  command.add_option("--pull", flags.pull,
                     "Ask the registry: missing (default), always, newer, never");
  command.add_flag("--read-only", flags.read_only, "The root filesystem cannot be written to");
  command.add_flag("--rm", flags.remove,
                   "Remove the container when it ends, which is what always happens");
  command.add_option("--shm-size", flags.shm_size, "Size of /dev/shm (64m, 1g)");
  command.add_list("--tmpfs", flags.tmpfs, "Directory in memory, PATH[:size=SIZE,mode=MODE]");
  command.add_flag("-t,--tty", flags.terminal, "Give the container a terminal");
  command.add_list("--ulimit", flags.ulimits, "Limit, NAME=SOFT[:HARD]");
  command.add_option("-u,--user", flags.user, "User, NAME|UID[:GROUP|GID]");
  command.add_list("-v,--volume", flags.volumes,
                   "Directory or file of the host, SOURCE:TARGET[:ro]");
  command.add_option("-w,--workdir", flags.workdir, "Working directory");
  command.set_usage("[OPTIONS] IMAGE [COMMAND] [ARG...]");
  // What follows the image belongs to the command.
  command.stop_at_first_word();
}

RunRequest check_run_flags(const RunFlags& flags, const std::vector<std::string>& words) {
  refuse_what_needs_a_daemon(flags);
  if (words.empty()) throw_usage("which image is to be run?", "lade run IMAGE [COMMAND]");
  RunRequest request;
  request.image = words[0];
  request.command.assign(words.begin() + 1, words.end());
  for (const auto& file : flags.env_files) read_env_file(file, request.env);
  for (const auto& variable : flags.env) add_variable(variable, request.env);
  add_container_proxies(request.env);
  read_volumes(flags, request);
  for (const auto& text : flags.add_hosts) {
    for (auto& host : parse_hosts(text)) request.extra_hosts.push_back(std::move(host));
  }
  request.ulimits = of_option("--ulimit", [&] { return parse_ulimits(flags.ulimits); });
  if (!flags.workdir.empty() && !flags.workdir.starts_with('/')) {
    throw_usage("--workdir: " + lade::quoted(flags.workdir) + " is not an absolute path");
  }
  if (!flags.workdir.empty()) request.workdir = clean_path(flags.workdir);
  if (!flags.user.empty()) request.user = flags.user;
  request.entrypoint = flags.entrypoint;
  request.network = parse_network(flags.network);
  request.network_reach = {parse_network_deny(flags.network_deny),
                           granted_gateway(flags.add_hosts)};
  request.hostname = flags.hostname.empty() ? sys::random_hex(6) : flags.hostname;
  if (!flags.platform.empty()) {
    request.platform = of_option("--platform", [&] { return Platform::parse(flags.platform); });
  }
  request.pull = parse_pull(flags.pull);
  if (!flags.shm_size.empty()) {
    request.shm_bytes = of_option("--shm-size", [&] { return parse_bytes(flags.shm_size); });
  }
  // As docker has it, these are no limit.
  if (const auto& limit = flags.pids_limit; !limit.empty() && limit != "-1" && limit != "0") {
    request.pids_limit = of_option("--pids-limit", [&] { return parse_pids("pids", limit); });
  }
  request.detach_keys = parse_detach_keys(flags.detach_keys);
  request.interactive = flags.interactive;
  request.terminal = flags.terminal;
  request.read_only = flags.read_only;
  request.privileged = flags.privileged;
  request.init = flags.init;
  return request;
}

}  // namespace lade
