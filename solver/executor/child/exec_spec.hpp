// One step for the sandbox, and what comes of it, as plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cgroup_limits.hpp"
#include "base/mount.hpp"
#include "solver/executor/cgroup/device_defence.hpp"
#include "solver/executor/network/network_reach.hpp"

namespace lade {

enum class SecurityMode {
  sandbox,   ///< Docker's default capabilities, seccomp filter, masked and read-only paths
  insecure,  ///< all capabilities, no filter, /sys and /proc writable, host devices
};

struct ResourceLimit {  ///< setrlimit(2) in the step
  int resource;         ///< RLIMIT_*
  uint64_t soft;
  uint64_t hard;
};

/// A file that exists only for this step (secrets as files, /etc/hosts, /etc/resolv.conf),
/// bind-mounted at `target` from a tmpfs of the sandbox that never reaches a disk or a layer.
struct EphemeralFile {
  std::string target;  ///< absolute, inside the root filesystem
  std::string content;
  uint32_t mode = 0644;
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool read_only = false;
  bool before_mounts = false;  ///< a mount of the step's at or above `target` covers it
  bool resolv_conf = false;    ///< the content is sandbox_resolv_conf() of when the step starts
};

/// One step, as plain data. Host paths (mount sources, layers) are absolute: the zygote has a
/// working directory of its own.
struct ExecSpec {
  /// args[0] without '/' is searched in PATH of `env`, inside the root, as the step's user.
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< "NAME=value", exactly what the process gets
  std::string cwd = "/";         ///< made (0755, the step's user's) if missing
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  ///< supplementary
  std::string hostname = "buildkitsandbox";
  NetworkMode network = NetworkMode::sandbox;
  SecurityMode security = SecurityMode::sandbox;
  /// Target "/"; overlay or bind. The directories /proc, /sys and /dev must be in it.
  Mount rootfs;
  /// In order. A missing target is an error: the caller prepares stubs.
  std::vector<Mount> mounts;
  /// After `mounts` unless they say otherwise; their targets exist, too.
  std::vector<EphemeralFile> files;
  std::vector<ResourceLimit> limits;
  uint64_t shm_bytes = 64u << 20;
  /// Run in a cgroup of its own below this one (a path from the cgroup root, as in
  /// /proc/PID/cgroup), in every hierarchy the host has mounted. Without it the step stays in
  /// lade's own cgroups, or in one below them that steps share.
  std::optional<std::string> cgroup_parent;
  /// Of the step's cgroup, which is then made without a cgroup_parent, too, below "/lade". What no
  /// hierarchy can limit is an error.
  CgroupLimits cgroup_limits;
  /// A small init is PID 1 and the command its child: it reaps what the command leaves behind and
  /// passes signals on, which the kernel keeps from a PID 1 that has no handlers for them.
  bool init = false;
  /// Run beside this step, which start() gave the number of and which still runs: in its root, its
  /// namespaces and its cgroup, until that step ends at the latest. What makes a sandbox (rootfs,
  /// mounts, files, hostname, network, shm_bytes, cgroup_parent, init) counts for nothing then.
  std::optional<uint64_t> join;
  // Descriptors of the caller's, borrowed for the length of start(), for commands that somebody
  // talks to:
  int input_fd = -1;  ///< the command's standard input; -1: /dev/null
  /// Its standard output and error, for a caller that reads at its own pace; on_output gets nothing
  /// of the stream then. -1: through on_output.
  int output_fd = -1;
  int error_fd = -1;
  /// A socket of a sandbox::Channel pair. The command gets a terminal of the sandbox's own as its
  /// three standard streams and as its controlling terminal; the terminal's other side comes
  /// through this socket as the one descriptor of a packet. on_output gets nothing. -1: no
  /// terminal.
  int terminal_fd = -1;
};

/// How a step's process ended.
struct ExecResult {
  int exit_code = 0;  ///< 128 + signal when killed by one; with setup_error: see there
  int signal = 0;     ///< 0 unless killed
  /// Not empty: the command never ran; says what failed (with the path). exit_code is then, as
  /// Docker has it, 127 (command not found), 126 (it cannot be executed) or 125 (no sandbox could
  /// be made).
  std::string setup_error;
  /// The kernel killed one of its processes for lack of memory; known only of
  /// those that have a cgroup of their own.
  bool out_of_memory = false;
  /// The limit of processes and threads that kept it from making one; 0: none did. Of those that
  /// have such a limit.
  int64_t pids_limit_met = 0;
  uint64_t user_us = 0;  ///< rusage of the step's process tree
  uint64_t system_us = 0;
  uint64_t max_rss_bytes = 0;
};

/// What of a host the sandbox needs to be told once.
struct ExecutorOptions {
  /// The first choice; what follows is taken where the machine lacks it.
  DeviceDefence devices = DeviceDefence::cgroup_v2;
  NetworkReach network = {};  ///< of steps with NetworkMode::sandbox
  int64_t pids = 0;           ///< CgroupLimits::pids of steps that have none of their own
};

}  // namespace lade
