// The sandbox from inside: what its first process does between clone(2) and the command's
// execve(2).
#pragma once

#include "solver/executor/cgroup/cgroup.hpp"
#include "solver/executor/child/cgroup_mounts.hpp"
#include "solver/executor/child/exec_spec.hpp"
#include "solver/executor/child/seccomp.hpp"

namespace lade::sandbox {

/// What the zygote hands to the child. Everything is borrowed; the child has its own copy of the
/// memory.
struct ChildPlan {
  const ExecSpec& spec;
  int stdin_fd;  ///< -1: the sandbox's /dev/null
  int stdout_fd;
  int stderr_fd;
  int terminal_fd;  ///< socket for the terminal's other side; -1: no terminal
  int failure_fd;  ///< write end of a close-on-exec pipe: takes one SetupFailure, or EOF on success
  int zygote_pidfd;
  const std::vector<Hierarchy>& hierarchies;
  const std::vector<CgroupMount>* cgroups = nullptr;  ///< null: to be found in `hierarchies`
  int netns_fd = -1;                                  ///< network slot to join; -1 for none
  const StepCgroup* cgroup = nullptr;                 ///< to enter, but for v2; may be null
  const OwnGroup* v2_group = nullptr;  ///< to enter, if the process was not born into it
  const std::string* leave = nullptr;  ///< v1 `devices` group to enter instead of the zygote's
  bool nodev = false;                  ///< nothing else keeps the step from the machine's devices
  const SeccompFilter* filter = nullptr;  ///< null for insecure steps
  /// A step that this one joins (already in its PID namespace): its process, a pidfd of that, and
  /// the read end of its failure pipe. -1: none.
  pid_t joined_pid = -1;
  int joined_pidfd = -1;
  int joined_failure_fd = -1;
};

/// Becomes the step's command. Never returns and lets no exception out.
[[noreturn]] void run_child(const ChildPlan& plan) noexcept;

}  // namespace lade::sandbox
