#include "solver/executor/child/sandbox_child.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/kernel.hpp"
#include "base/own_mounts.hpp"
#include "base/signals.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/child/capabilities.hpp"
#include "solver/executor/child/cgroup_mounts.hpp"
#include "solver/executor/child/command.hpp"
#include "solver/executor/child/dev_mounts.hpp"
#include "solver/executor/child/init.hpp"
#include "solver/executor/child/mounts.hpp"
#include "solver/executor/child/protocol.hpp"
#include "solver/executor/child/staging.hpp"
#include "solver/executor/child/system_mounts.hpp"

namespace lade::sandbox {
namespace {

constexpr size_t max_message = 4096;  // fits a pipe's atomic write and the report's packet

struct Child {
  const ChildPlan& plan;
  const ExecSpec& spec;
  UniqueFd root;
  UniqueFd null;  // the sandbox's own /dev/null
  std::vector<CgroupMount> cgroups;
};

/// Nobody else shares our session, so no terminal's signals arrive and no terminal can be taken
/// over.
void leave_session(Child&) {
  ::setsid();
}

/// Into v2 groups processes are born, where clone3(2) works.
void enter_groups(const ChildPlan& plan) {
  if (plan.v2_group != nullptr) enter_group(plan.v2_group->dir());
  if (plan.cgroup != nullptr) plan.cgroup->enter_v1();
  if (plan.leave != nullptr) enter_group(*plan.leave);
}

void enter_cgroup(Child& child) {
  enter_groups(child.plan);
  child.cgroups = child.plan.cgroups != nullptr
                      ? *child.plan.cgroups
                      : find_cgroup_mounts(child.plan.hierarchies, child.spec.security);
  // Only now, so that the cgroup becomes the namespace's root.
  if (::unshare(CLONE_NEWCGROUP) != 0) throw_errno("could not make a cgroup namespace");
}

void bring_loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    throw_errno("could not bring the loopback interface up");
  }
}

void join_network(Child& child) {
  if (child.plan.netns_fd >= 0 && ::setns(child.plan.netns_fd, CLONE_NEWNET) != 0) {
    throw_errno("could not join the network namespace");
  }
  if (child.spec.network == NetworkMode::none) bring_loopback_up();
}

void set_hostname(Child& child) {
  const std::string& name = child.spec.hostname;
  if (::sethostname(name.data(), name.size()) != 0) {
    throw_errno("could not set the host name " + quoted(name));
  }
}

/// Its root is the sandbox's only once it has left the host: that is, once its command runs.
void wait_for_joined(const Child& child) {
  pollfd started{child.plan.joined_failure_fd, POLLIN, 0};
  while (::poll(&started, 1, -1) < 0 && errno == EINTR) {
  }
  if ((started.revents & POLLIN) != 0) throw Error("the container did not start");
}

UniqueFd root_of_joined(const Child& child) {
  const std::string path = "/proc/" + std::to_string(child.plan.joined_pid) + "/root";
  UniqueFd root = sys::open(path, O_PATH | O_DIRECTORY);
  // As long as it has not ended, the number was its own.
  pollfd ended{child.plan.joined_pidfd, POLLIN, 0};
  if (::poll(&ended, 1, 0) != 0) throw Error("the container has ended");
  return root;
}

/// Enters the sandbox of a running step. The PID namespace was entered by the clone.
void join_step(Child& child) {
  // The sandbox's processes see this one already: until the command runs none of them may trace it,
  // or get at what it has open of the host, once its privileges are the same as theirs.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) throw_errno("could not close the process off");
  wait_for_joined(child);
  enter_groups(child.plan);
  const UniqueFd root = root_of_joined(child);
  constexpr int kNamespaces =
      CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
  if (::setns(child.plan.joined_pidfd, kNamespaces) != 0) {
    throw_errno("could not enter the container");
  }
  // Whatever the namespace's root is, the container's is this one.
  if (::fchdir(root.get()) != 0 || ::chroot(".") != 0) {
    throw_errno("could not enter the container's root filesystem");
  }
  child.root = sys::open("/", O_PATH | O_DIRECTORY);
  child.null = std::move(sys::open_in_root(child.root.get(), "/dev/null", O_RDONLY).value());
}

Nodes nodes_of(const Child& child) {
  if (child.spec.security == SecurityMode::insecure) return Nodes::anywhere;
  return child.plan.nodev ? Nodes::in_dev : Nodes::by_rules;
}

void put_together(Child& child) {
  Staging staging;
  const Nodes nodes = nodes_of(child);
  child.root = mount_root(child.spec.rootfs, nodes, staging);
  const int root = child.root.get();
  mount_system(root, child.spec, child.cgroups);
  mount_dev(root, child.spec, nodes, staging);
  child.null = std::move(sys::open_in_root(root, "/dev/null", O_RDONLY).value());
  mount_files(root, child.spec.files, true, staging);
  for (const auto& mount : child.spec.mounts) {
    if (!is_dev(mount)) mount_into(root, mount, nodes, staging);
  }
  mount_files(root, child.spec.files, false, staging);
  if (child.spec.security == SecurityMode::sandbox) mask_paths(root, child.null.get());
}

void make_root(Child& child) {
  own_mounts();
  put_together(child);
}

/// "." is the new root afterwards, covered by the host's root, covered by the staging area;
/// unmounting "." takes the top-most away.
void leave_host(Child& child) {
  if (::fchdir(child.root.get()) != 0) throw_errno("could not enter the root filesystem");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) {
    throw_errno("could not switch to the root filesystem");
  }
  for (int mounts = 0; mounts < 2; ++mounts) {
    if (::umount2(".", MNT_DETACH) != 0) throw_errno("could not detach the host's root");
  }
  if (::chdir("/") != 0) throw_errno("could not enter the root filesystem");
  // A walk to ".." of the root ends on whatever covers it: the one way by which a rest would show.
  struct stat top{};
  const struct stat root = sys::fstat(child.root.get());
  if (::stat("/..", &top) != 0 || top.st_dev != root.st_dev || top.st_ino != root.st_ino) {
    throw Error("the host's root is still within reach");
  }
}

/// Makes the missing directories of a path inside the root, one at a time: openat2 cannot create
/// them.
UniqueFd make_cwd(int root, const std::string& path, const ExecSpec& owner) {
  std::string done = "/";
  UniqueFd dir = sys::openat(root, ".", O_PATH | O_DIRECTORY);
  for (const auto& part : split(path, '/')) {
    if (part.empty()) continue;
    done = join_path(done, part);
    auto next = sys::open_in_root(root, done, O_PATH | O_DIRECTORY);
    if (!next) {
      sys::mkdirat(dir.get(), part, 0755);
      next = sys::openat(dir.get(), part, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      if (::fchownat(next->get(), "", owner.uid, owner.gid, AT_EMPTY_PATH) != 0)
        throw_errno("chown");
    }
    dir = std::move(*next);
  }
  return dir;
}

void enter_cwd(Child& child) {
  const std::string path = join_path("/", child.spec.cwd);
  with_context([&] { return "could not enter the working directory " + quoted(path); },
               [&] {
                 auto dir = sys::open_in_root(child.root.get(), path, O_PATH | O_DIRECTORY);
                 if (!dir) dir = make_cwd(child.root.get(), path, child.spec);
                 if (::fchdir(dir->get()) != 0) throw_errno("chdir");
               });
}

/// Makes a terminal of the sandbox's own devpts the session's, and sends its other side out.
UniqueFd open_terminal(Child& child) {
  return with_context("could not make a terminal", [&] {
    const auto master =
        sys::open_in_root(child.root.get(), "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (!master) throw Error("there is no /dev/pts/ptmx");
    const int unlock = 0;
    if (::ioctl(master->get(), TIOCSPTLCK, &unlock) != 0) throw_errno("unlock");
    UniqueFd terminal(::ioctl(master->get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal) throw_errno("open");
    if (::fchown(terminal.get(), child.spec.uid, static_cast<gid_t>(-1)) != 0) throw_errno("chown");
    if (::ioctl(terminal.get(), TIOCSCTTY, 0) != 0) throw_errno("take over");
    Channel(UniqueFd(::fcntl(child.plan.terminal_fd, F_DUPFD_CLOEXEC, 3)))
        .send("terminal", {master->get()});
    return terminal;
  });
}

void connect_stdio(Child& child) {
  const int null = child.null.get();
  std::array<int, 3> sources = {child.plan.stdin_fd >= 0 ? child.plan.stdin_fd : null,
                                child.plan.stdout_fd, child.plan.stderr_fd};
  UniqueFd terminal;
  if (child.plan.terminal_fd >= 0) {
    terminal = open_terminal(child);
    sources.fill(terminal.get());
  }
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(sources[static_cast<size_t>(fd)], fd) < 0) throw_errno("could not connect output");
  }
}

void set_limits(Child& child) {
  // One byte: a core would be a layer's rubbish, and 1 also keeps a core_pattern helper of the host
  // (which ignores 0) from being started.
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  core.rlim_cur = std::min<rlim_t>(1, core.rlim_max);
  ::setrlimit(RLIMIT_CORE, &core);
  for (const auto& limit : child.spec.limits) {
    const rlimit value{limit.soft, limit.hard};
    if (::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value) != 0) {
      throw_errno(fmt::format("could not set resource limit {} to {}:{}", limit.resource,
                              limit.soft, limit.hard));
    }
  }
}

/// Where a namespace has one id alone (user_namespaces(7)), groups cannot be set; those that are
/// there are the user's own.
void set_groups(const std::vector<gid_t>& groups) {
  if (::setgroups(groups.size(), groups.data()) == 0) return;
  const int err = errno;
  const auto setting = sys::read_file("/proc/self/setgroups");
  const bool none = std::ranges::all_of(groups, [](gid_t gid) { return gid == 0; });
  if (err == EPERM && none && setting && trim(*setting) == "deny") return;
  throw Error::from_errno(err, "could not set groups");
}

/// The order matters: the filter needs CAP_SYS_ADMIN, which is still there; leaving uid 0 then
/// clears permitted and effective as it does in Docker; PDEATHSIG is cleared by each change of
/// credentials.
void drop_privileges(Child& child) {
  const ExecSpec& spec = child.spec;
  const uint64_t keep = step_capabilities(spec.security);
  limit_bounding_set(keep);
  if (child.plan.filter != nullptr) {
    child.plan.filter->install();
  } else {
    // Without the filter a step could read the caller's session keyring; where there are no keys,
    // fine.
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  }
  set_groups(spec.groups);
  if (::setresgid(spec.gid, spec.gid, spec.gid) != 0) {
    throw_errno(fmt::format("could not become group {}", spec.gid));
  }
  if (::setresuid(spec.uid, spec.uid, spec.uid) != 0) {
    throw_errno(fmt::format("could not become user {}", spec.uid));
  }
  if (spec.uid == 0) set_capabilities(keep);
}

/// Ties our life to the zygote's.
void follow_zygote(Child& child) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd zygote{child.plan.zygote_pidfd, POLLIN, 0};
  if (::poll(&zygote, 1, 0) == 1) ::_exit(sandbox_failed);  // it died before the line above
}

void run_command(Child& child) {
  reset_signals();
  ::umask(0022);
  if (child.spec.init) become_init(child.plan.failure_fd);
  execute_command(child.spec.args, child.spec.env);
}

constexpr std::array setup = {
    leave_session, enter_cgroup,  join_network, set_hostname,    make_root,     leave_host,
    enter_cwd,     connect_stdio, set_limits,   drop_privileges, follow_zygote, run_command,
};

constexpr std::array setup_joined = {
    leave_session, join_step,       enter_cwd,     connect_stdio,
    set_limits,    drop_privileges, follow_zygote, run_command,
};

void report(int fd, int exit_code, std::string message) {
  if (message.size() > max_message) message.resize(max_message);
  const std::string bytes = encode(SetupFailure{exit_code, std::move(message)});
  // Nobody is left to tell should this fail.
  [[maybe_unused]] const auto written = ::write(fd, bytes.data(), bytes.size());
}

}  // namespace

void run_child(const ChildPlan& plan) noexcept {
  try {
    Child child{plan, plan.spec, {}, {}, {}};
    if (plan.joined_pidfd >= 0) {
      for (const auto step : setup_joined) step(child);
    }
    for (const auto step : setup) step(child);
  } catch (const CommandError& error) {
    report(plan.failure_fd, error.exit_code(), error.message());
  } catch (const Error& error) {
    const std::string advice = error.hint().empty() ? "" : fmt::format(" ({})", error.hint());
    report(plan.failure_fd, sandbox_failed, error.what() + advice + old_kernel_note());
  } catch (const std::exception& error) {
    report(plan.failure_fd, sandbox_failed, error.what() + old_kernel_note());
  }
  ::_exit(sandbox_failed);
}

}  // namespace lade::sandbox
