// RUN.
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/heredoc.hpp"
#include "parser/mount.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {
namespace {

constexpr std::string_view kScriptDir = "/dev/pipes/";

/// "RUN |2 a=1 b=2 /bin/sh -c make": the build arguments in force come first.
std::string history_text(const StageState& stage, const std::vector<std::string>& args) {
  constexpr size_t kLikelyLength = 32;  // of an argument
  const auto& build_args = stage.build_args.all();
  std::string text = "RUN ";
  text.reserve(build_args.size() * kLikelyLength);
  if (!build_args.empty()) text += fmt::format("|{} ", build_args.size());
  for (const auto& arg : build_args) {
    if (const std::string* assignment = stage.env.assignment(arg.name)) {
      text += *assignment;
    } else {
      text += arg.name;
      text += '=';
      if (arg.value) text += *arg.value;
    }
    text += ' ';
  }
  return text + join(args, " ") + " # buildkit";
}

void set_proxies(const LowerState& state, ExecOp& op) {
  static constexpr std::string_view kProxies[] = {"http_proxy", "https_proxy", "ftp_proxy",
                                                  "no_proxy", "all_proxy"};
  for (const auto& [name, value] : state.options.build_args) {
    for (const auto proxy : kProxies) {
      if (to_lower(name) != proxy) continue;
      op.proxy_env[std::string(proxy)] = value;
      op.proxy_env[to_upper(proxy)] = value;
    }
  }
}

template <class Value>
Value for_stage(const std::map<std::string, Value>& values, const StageState& stage) {
  for (const auto& name : {stage.name, stage.label, std::string()}) {
    const auto found = values.find(name);
    if (found != values.end()) return found->second;
  }
  return {};
}

void set_limits(const LowerState& state, const StageState& stage, ExecOp& op) {
  const LowerOptions& options = state.options;
  op.shm_bytes = options.shm_bytes;
  op.ulimits = options.ulimits;
  op.cgroup_parent = options.cgroup_parent;
  op.resources = options.resources;
  op.retries = for_stage(options.retries, stage);
  op.timeout = for_stage(options.timeouts, stage);
  if (!options.hostname.empty()) op.hostname = options.hostname;
  const auto hostname = options.build_args.find("BUILDKIT_SANDBOX_HOSTNAME");
  if (hostname != options.build_args.end()) op.hostname = hostname->second;
}

struct RunBuilder {
  LowerState& state;
  StageState& stage;
  Vertex& vertex;
  ExecOp& op;

  uint32_t input(Edge edge) {
    vertex.inputs.push_back(edge);
    return static_cast<uint32_t>(vertex.inputs.size() - 1);
  }

  std::string mount_target(const std::string& target) const {
    const std::string path = join_path(op.cwd, target);
    if (path == "/") throw Error(fmt::format("invalid mount target {}", go_quote(path)));
    return path;
  }

  void add_bind(const parser::ResolvedMount& mount, StageState* source, ExecMount& out) {
    const std::string subpath = join_path("/", mount.source);
    out.subpath = subpath == "/" ? "" : subpath;
    out.read_only = mount.read_only;
    if (!source) {
      out.input = input(context_copy(state, subpath, platform_text(stage), vertex.range));
      return;
    }
    if (!source->dispatched) {
      throw Error(fmt::format(
          "cannot mount from stage {} to {}, stage needs to be defined before current command",
          go_quote(mount.from), go_quote(mount.target)));
    }
    out.input = input(*source->root);
  }

  void add_cache(const parser::ResolvedMount& mount, StageState* source, ExecMount& out) {
    out.read_only = mount.read_only;
    out.id = mount.id.empty() ? clean_path(mount.target) : mount.id;
    const auto& args = state.options.build_args;
    if (const auto space = args.find("BUILDKIT_CACHE_MOUNT_NS"); space != args.end()) {
      out.id = space->second + "/" + out.id;
    }
    out.sharing = mount.sharing == parser::CacheSharing::private_ ? CacheMountSharing::exclusive
                  : mount.sharing == parser::CacheSharing::locked ? CacheMountSharing::locked
                                                                  : CacheMountSharing::shared;
    out.mode = mount.mode.value_or(0755);
    out.uid = mount.uid.value_or(0);
    out.gid = mount.gid.value_or(0);
    const std::string subpath = join_path("/", mount.source);
    out.own_directory = subpath == "/" && (mount.mode || mount.uid || mount.gid);
    if (source && source->base_name != "scratch") {
      if (!source->dispatched) {
        throw Error(fmt::format("cannot mount from stage {}, it needs to be defined before",
                                go_quote(mount.from)));
      }
      out.input = input(*source->root);
      out.subpath = subpath == "/" ? "" : subpath;
    }
  }

  /// What a secret or an SSH agent is called outside; `source` is another word for a secret's `id`.
  static std::string secret_id(const parser::ResolvedMount& mount) {
    if (!mount.id.empty()) return mount.id;
    if (mount.type == parser::MountType::ssh) return "default";
    return mount.source.empty() ? base_name(mount.target) : mount.source;
  }

  /// For the outline: the first mount of each name counts.
  void capture(const parser::ResolvedMount& mount) const {
    OutlineCapture& outline = stage.outline;
    const SourceRange& range = state.command_range;
    if (mount.type == parser::MountType::secret) {
      const std::string name = secret_id(mount);
      outline.secrets.insert({name, {name, mount.required, range}});
    } else if (mount.type == parser::MountType::ssh) {
      const std::string name = secret_id(mount);
      outline.ssh.insert({name, {name, mount.required, range}});
    } else if (mount.type == parser::MountType::cache) {
      const std::string id = mount.id.empty() ? clean_path(mount.target) : mount.id;
      outline.caches.insert({id, {id, range}});
    }
  }

  void add_mount(const parser::RunMount& mount, StageState* source) {
    const auto resolved = parser::resolve_mount(
        mount, [&](std::string_view word) { return expand(state, stage, word); });
    ExecMount out;
    capture(resolved);
    switch (resolved.type) {
      case parser::MountType::bind:
        out.type = ExecMountType::bind;
        out.target = mount_target(resolved.target);
        add_bind(resolved, source, out);
        break;
      case parser::MountType::cache:
        out.type = ExecMountType::cache;
        out.target = mount_target(resolved.target);
        add_cache(resolved, source, out);
        break;
      case parser::MountType::tmpfs:
        out.type = ExecMountType::tmpfs;
        out.target = mount_target(resolved.target);
        out.read_only = false;
        out.size_bytes = static_cast<uint64_t>(resolved.size);
        break;
      case parser::MountType::secret:
      case parser::MountType::ssh:
        add_secret(resolved, out);
        break;
    }
    op.mounts.push_back(std::move(out));
  }

  /// Mounts come in the order of their targets, whatever the Dockerfile's: a target may lie inside
  /// of another mount. Agents' sockets without a target get one.
  void finish_mounts() {
    const auto is_file = [](const ExecMount& mount) {
      return mount.type == ExecMountType::secret || mount.type == ExecMountType::ssh;
    };
    std::stable_sort(op.mounts.begin(), op.mounts.end(), [&](const auto& a, const auto& b) {
      if (is_file(a) || is_file(b)) return !is_file(a) && is_file(b);
      return a.target < b.target;
    });
    int number = 0;
    for (auto& mount : op.mounts) {
      if (mount.type != ExecMountType::ssh) continue;
      if (mount.target.empty()) mount.target = fmt::format("/run/buildkit/ssh_agent.{}", number);
      const auto is_set = [](const std::string& entry) {
        return entry.starts_with("SSH_AUTH_SOCK=");
      };
      if (number++ == 0 && std::none_of(op.env.begin(), op.env.end(), is_set)) {
        op.env.push_back("SSH_AUTH_SOCK=" + mount.target);
      }
    }
  }

  void add_secret(const parser::ResolvedMount& mount, ExecMount& out) {
    const bool ssh = mount.type == parser::MountType::ssh;
    out.type = ssh ? ExecMountType::ssh : ExecMountType::secret;
    out.id = secret_id(mount);
    out.required = mount.required;
    out.env = mount.env;
    out.env_only = mount.env.has_value() && mount.target.empty();
    out.mode = mount.mode.value_or(ssh ? 0600 : 0400);
    out.uid = mount.uid.value_or(0);
    out.gid = mount.gid.value_or(0);
    if (!mount.target.empty()) {
      out.target = mount_target(mount.target);
    } else {
      out.target = ssh ? "" : "/run/secrets/" + base_name(out.id);
    }
  }
};

void check_entitlements(const LowerState& state, const ExecOp& op) {
  if (op.network == OpNetwork::host && !state.options.allow_host_network) {
    Error error("the step wants the host's network, which was not granted");
    error.set_hint("add --allow network.host if you trust this Dockerfile");
    throw error;
  }
  if (op.security == OpSecurity::insecure && !state.options.allow_insecure) {
    Error error("the step wants to run without a sandbox, which was not granted");
    error.set_hint("add --allow security.insecure if you trust this Dockerfile");
    throw error;
  }
}

/// An image may say "=value", a process's environment must not.
std::vector<std::string> environment_of(const StageState& stage) {
  for (const auto& variable : stage.image.config.env) {
    if (variable.starts_with('=')) {
      throw Error(fmt::format("environment variable {} has no name", lade::quoted(variable)));
    }
  }
  return stage.env.assignments();
}

void set_command(const StageState& stage, const parser::Run& run, const parser::Script& script,
                 ExecOp& op) {
  if (script.kind == parser::Script::Kind::exec) {
    op.args = run.command.words;
  } else {
    op.args = shell_of(stage);
    if (script.kind == parser::Script::Kind::file) {
      op.script = ExecOp::Script{std::string(kScriptDir) + script.name, script.text};
      op.args.push_back(op.script->path);
    } else {
      op.args.push_back(script.text);
    }
  }
}

/// The instruction with its variables expanded, as far as they may be seen.
std::string shown_text(LowerState& state, const StageState& stage, const StageCommand& command,
                       const parser::Script& script, const ExecOp& op) {
  std::string text = command.command.origin.text;
  if (!script.summary.empty()) text += " (" + script.summary + ")";
  parser::ExpansionOptions shown = state.expansion();
  shown.keep_quotes = true;
  shown.keep_unset = true;
  try {
    // A variable that comes from a secret is not shown with what it was set to before.
    const parser::Environment seen = [&](std::string_view name) {
      const bool secret = std::any_of(op.mounts.begin(), op.mounts.end(),
                                      [&](const ExecMount& mount) { return mount.env == name; });
      return secret ? "****" : stage.env.get(name);
    };
    text = parser::process_word(text, seen, shown).text;
  } catch (const Error&) {
    // What the shell understands need not be a word for us; it is shown as written.
  }
  return text;
}

}  // namespace

Edge context_copy(LowerState& state, const std::string& source, const std::string& platform,
                  const SourceRange& range) {
  const Edge context = state.context_edge("mount");
  if (state.options.context_source) return context;
  Vertex copy;
  // The copied path keeps its place, so that `source` is the mount's subpath as with any other
  // input.
  CopyAction action{.source = source, .destination = source, .wildcard = false};
  action.contents = source == "/";  // a directory below that has the mode that it has there
  copy.op = FileOp{{std::move(action)}};
  copy.inputs = {state.scratch_edge(), context};
  copy.platform = platform;
  copy.range = range;
  copy.name = "[internal] load " + source + " of the build context";
  return state.add(std::move(copy));
}

void dispatch_run(LowerState& state, StageState& stage, const StageCommand& command,
                  const parser::Run& run) {
  ExecOp op;
  Vertex vertex;
  vertex.inputs = {*stage.root};
  vertex.range = command.command.origin.range;
  const parser::Script script = parser::script_of(run.command);
  set_command(stage, run, script, op);
  op.env = environment_of(stage);
  op.cwd = join_path("/", stage.image.config.working_dir);
  op.user = stage.user;
  op.extra_hosts = state.options.extra_hosts;
  set_limits(state, stage, op);
  op.network = run.network == parser::NetworkMode::none   ? OpNetwork::none
               : run.network == parser::NetworkMode::host ? OpNetwork::host
                                                          : state.options.network;
  op.security =
      run.security == parser::SecurityMode::insecure ? OpSecurity::insecure : OpSecurity::sandbox;
  if (!run.devices.empty()) throw Error("RUN --device is not supported: lade has no CDI devices");
  check_entitlements(state, op);
  set_proxies(state, op);
  RunBuilder builder{state, stage, vertex, op};
  for (size_t i = 0; i < run.mounts.size(); ++i) {
    builder.add_mount(run.mounts[i], command.sources[i]);
  }
  builder.finish_mounts();
  vertex.name =
      step_name(stage, command, with_upper_keyword(shown_text(state, stage, command, script, op)));
  vertex.platform = platform_text(stage);
  vertex.ignore_cache = state.ignores_cache(stage, command);
  const std::string history = history_text(stage, op.args);
  vertex.op = std::move(op);
  stage.root = state.add(std::move(vertex));
  add_history(stage, history, true);
}

}  // namespace lade::lowering
