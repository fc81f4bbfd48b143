#include "app/run/run_plan.hpp"

#include <algorithm>

#include <sys/stat.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

std::vector<std::string> arguments(const RunRequest& request, const ContainerConfig& config) {
  std::vector<std::string> args;
  if (!request.entrypoint) {
    args = config.entrypoint.value_or(std::vector<std::string>());
  } else if (!request.entrypoint->empty()) {
    args.push_back(*request.entrypoint);
  }
  const auto& command = !request.command.empty() || request.entrypoint
                            ? request.command
                            : config.cmd.value_or(std::vector<std::string>());
  args.insert(args.end(), command.begin(), command.end());
  return args;
}

std::vector<std::string> environment(const RunRequest& request, const ContainerConfig& config) {
  ContainerConfig out;
  const auto set = [&](const std::string& variable) {
    const auto equals = variable.find('=');
    out.set_env(variable.substr(0, equals), variable.substr(equals + 1));
  };
  out.set_env("PATH", kDefaultPath);
  out.set_env("HOSTNAME", request.hostname);
  if (request.terminal) out.set_env("TERM", "xterm");
  for (const auto& variable : config.env) {
    if (variable.find('=') != std::string::npos) set(variable);
  }
  for (const auto& variable : request.env) {
    if (variable.find('=') != std::string::npos) {
      set(variable);
    } else {
      std::erase_if(out.env,
                    [&](const std::string& known) { return known.starts_with(variable + "="); });
    }
  }
  return out.env;
}

/// A volume of the container's own: what the image has there is seen in it, and all is thrown away.
/// So is the root where it can be written to; a directory that is there already is as good then.
void add_anonymous(StateDir& state, const std::string& target, bool read_only,
                   const LayerStack& layers, ExecOp& op) {
  const auto found = state.layers().merged(layers).resolve(target.substr(1));
  const bool is_directory = found && found->entry->type == EntryType::directory;
  if (is_directory && !read_only) return;
  ExecMount mount;
  mount.target = target;
  mount.read_only = false;
  if (is_directory) {
    mount.type = ExecMountType::bind;
    mount.input = 0;
    mount.subpath = target;
  } else {
    mount.type = ExecMountType::tmpfs;
  }
  op.mounts.push_back(std::move(mount));
}

void add_volumes(StateDir& state, const RunRequest& request, const RunImage& image, ExecOp& op,
                 std::vector<Mount>& host_mounts) {
  std::vector<RunVolume> volumes = request.volumes;
  for (const auto& path : image.config.config.volumes) {
    const std::string target = clean_path("/" + path);
    const bool given = std::any_of(volumes.begin(), volumes.end(), [&](const RunVolume& volume) {
      return volume.target == target;
    });
    if (given || target == "/") continue;
    RunVolume volume;
    volume.type = RunVolume::Type::anonymous;
    volume.target = target;
    volumes.push_back(std::move(volume));
  }
  for (const auto& volume : volumes) {
    if (volume.type == RunVolume::Type::anonymous) {
      add_anonymous(state, volume.target, request.read_only, image.layers, op);
    } else if (volume.type == RunVolume::Type::tmpfs) {
      Mount mount;
      mount.kind = MountKind::tmpfs;
      mount.target = volume.target;
      mount.size_bytes = volume.size_bytes;
      mount.mode = volume.mode;
      mount.read_only = volume.read_only;
      host_mounts.push_back(std::move(mount));
    } else {
      if (volume.make_source && !sys::lstatat(AT_FDCWD, volume.source)) {
        sys::make_dirs(volume.source);
      }
      Mount mount;
      mount.source = volume.source;
      mount.devices = true;  // as far as the rules go: the caller chose it, no image
      mount.target = volume.target;
      mount.read_only = volume.read_only;
      host_mounts.push_back(std::move(mount));
    }
  }
}

}  // namespace

ExecOp plan_process(const RunRequest& request, const ImageConfig& config) {
  ExecOp op;
  op.args = arguments(request, config.config);
  if (op.args.empty()) {
    Error error("there is nothing to run: the image has no command, and none was given");
    error.set_hint("lade run IMAGE COMMAND");
    throw error;
  }
  op.env = environment(request, config.config);
  op.cwd = !request.workdir.empty()            ? request.workdir
           : config.config.working_dir.empty() ? "/"
                                               : join_path("/", config.config.working_dir);
  op.user = request.user.value_or(config.config.user);
  op.hostname = request.hostname;
  op.network = request.network;
  op.security = request.privileged ? OpSecurity::insecure : OpSecurity::sandbox;
  op.extra_hosts = request.extra_hosts;
  op.shm_bytes = request.shm_bytes;
  op.ulimits = request.ulimits;
  op.resources.pids = request.pids_limit;
  return op;
}

PreparedExec prepare_run(StateDir& state, const RunRequest& request, const RunImage& image) {
  ExecOp op = plan_process(request, image.config);
  std::vector<Mount> host_mounts;
  add_volumes(state, request, image, op, host_mounts);
  PreparedExec prepared = prepare_exec(state, op, {image.layers}, {}, {}, host_mounts);
  const auto depth = [](const Mount& mount) {
    return std::count(mount.target.begin(), mount.target.end(), '/');
  };
  std::stable_sort(prepared.spec.mounts.begin(), prepared.spec.mounts.end(),
                   [&](const Mount& a, const Mount& b) { return depth(a) < depth(b); });
  // A container may write its hosts and resolv.conf; with all else of it they are not kept.
  for (auto& file : prepared.spec.files) {
    if (file.before_mounts) file.read_only = request.read_only;
  }
  prepared.spec.rootfs.read_only = request.read_only;
  prepared.spec.init = request.init;
  return prepared;
}

}  // namespace lade
