// The sandbox: runs one step's process in namespaces of its own on a root filesystem that is
// mounted inside them, so that nothing is left behind on the host when the process ends.
//
// Lifecycle: Executor::create() forks the zygote, a small single-threaded process that makes every
// sandbox. It must be called before the process has any other thread or holds any lock (main does
// it first thing), since a child inherits both. Sandboxes are then started from the event loop's
// thread; their output and their end arrive as callbacks on it. When the Executor (or the whole
// process, however it dies) goes away, the zygote kills every sandbox that still runs and ends.
//
// The user's command is PID 1 of its sandbox: a step ends when that process ends; what it left
// running is killed by the kernel with the PID namespace, and output written until then is still
// delivered.
//
// Nothing of a sandbox has a name on the host: mounts exist in its own mount namespace only,
// ephemeral files on a tmpfs there, network slots as descriptors of the zygote. So there is nothing
// to tidy after a crash; the one exception are cgroups whose zygote itself was SIGKILLed: its
// Executor's end removes them, or the next zygote.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cgroup_limits.hpp"
#include "base/mount.hpp"
#include "base/progress.hpp"
#include "solver/executor/network_reach.hpp"

namespace lade {

class EventLoop;

enum class NetworkMode {
  sandbox,  ///< own network namespace, outbound access, no way to the host itself
  none,     ///< own network namespace with loopback only
  host,     ///< the host's network namespace
};

enum class SecurityMode {
  sandbox,   ///< Docker's default capabilities, seccomp filter, masked and read-only paths
  insecure,  ///< all capabilities, no filter, /sys and /proc writable, host devices
};

/// How steps are kept from the machine's devices; the strictest that still works for them first.
/// Insecure steps are not.
enum class DeviceDefence : uint8_t {
  cgroup_v2,  ///< rules as a BPF program
  cgroup_v1,  ///< rules of the devices controller
  mounts,     ///< no mount of a step's but its /dev has devices
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

class Executor {
 public:
  using StepId = uint64_t;
  using OnOutput = std::function<void(LogStream, std::string_view)>;
  using OnExit = std::function<void(const ExecResult&)>;

  /// Forks the zygote. Throws Error.
  static std::unique_ptr<Executor> create(const ExecutorOptions& options);
  /// The same for a process that has threads by now, at the price of executing its program again:
  /// its main() begins with become_zygote_if_asked(). Throws Error.
  static std::unique_ptr<Executor> create_late(const ExecutorOptions& options);

  /// Kills what still runs, whose on_exit then never comes, and waits for the zygote's end. Destroy
  /// it before the event loop it is attached to, and not from one of its own callbacks.
  virtual ~Executor() = default;

  /// Tells which loop the callbacks run on, before the first start(); again for the same is fine.
  virtual void attach(EventLoop& loop) = 0;

  /// Gets a network slot ready in the background, so that the first step with NetworkMode::sandbox
  /// need not wait for it (some 15 ms). Never fails; a step that needs the slot reports what went
  /// wrong.
  virtual void prefetch_network() = 0;

  /// Starts a step. `on_output` gets raw bytes as they come; `on_exit` comes once, after the last
  /// of them. Throws Error only for what is wrong before a sandbox exists (no network helper, say).
  virtual StepId start(const ExecSpec& spec, OnOutput on_output, OnExit on_exit) = 0;

  /// The zygote has died. Nothing can be started any more; the on_exit of all steps have come, or
  /// come now, with a setup_error.
  virtual bool is_lost() const { return false; }

  /// SIGKILLs the step's PID 1; on_exit still comes. Unknown ids are ignored.
  virtual void kill(StepId step) = 0;

  /// Sends a signal to the step's PID 1, for whom only those count that it has handlers for.
  /// Unknown ids are ignored.
  virtual void signal(StepId step, int number) = 0;
};

/// See Executor::create_late(): does not return if this process is to be a zygote.
void become_zygote_if_asked(int argc, char** argv);

/// /etc/resolv.conf for sandboxes: the host's, without servers that a sandbox could not reach:
/// loopback, and what is `denied` (the host's own addresses among it). Where the host has no
/// others, the file with the upstream servers that systemd-resolved or NetworkManager keep beside
/// theirs is used, then the network helper's forwarder. As it is for `host`.
std::string sandbox_resolv_conf(NetworkMode network, const AddressSet& denied);

/// /etc/hosts with localhost and `hostname` and "IP name" lines for `extra_hosts`.
std::string sandbox_hosts(const std::string& hostname,
                          const std::vector<std::pair<std::string, std::string>>& extra_hosts);

}  // namespace lade
