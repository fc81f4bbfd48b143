#include "solver/executor/zygote.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/close_descriptors.hpp"
#include "base/error.hpp"
#include "base/kernel.hpp"
#include "base/signals.hpp"
#include "base/sys.hpp"
#include "solver/executor/cgroup/cgroup.hpp"
#include "solver/executor/cgroup/device_guard.hpp"
#include "solver/executor/child/cgroup_mounts.hpp"
#include "solver/executor/child/sandbox_child.hpp"
#include "solver/executor/child/seccomp.hpp"
#include "solver/executor/network/network.hpp"

namespace lade::sandbox {
namespace {

/// A step that has been asked for and has no process yet.
struct Pending {
  uint64_t id = 0;
  StartRequest request;
  UniqueFd out;
  UniqueFd err;
  UniqueFd input;     // empty: /dev/null
  UniqueFd terminal;  // empty: none
};

struct Running {
  uint64_t id = 0;
  UniqueFd failure;  // read end; holds a SetupFailure if the command was never reached
  NetworkPool::Slot* slot = nullptr;
  bool slot_reusable = true;
  std::string network_failure;  // why it was killed
  bool joined = false;          // in the sandbox of another
  bool guarded = false;         // kept from devices by the zygote's group
  std::optional<StepCgroup> cgroup;
  int64_t pids_limit = 0;  // of that group
};

uint64_t microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
}

UniqueFd pidfd_of(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) throw_errno("could not open a process");
  return fd;
}

[[noreturn]] void fail_to_clone() {
  const bool denied = errno == EPERM;
  throw_errno(denied ? "could not make a sandbox, which takes CAP_SYS_ADMIN (a container has it "
                       "with --privileged)"
                     : "could not make a sandbox");
}

class Zygote {
 public:
  Zygote(Channel channel, const ExecutorOptions& options);
  void serve();
  void shut_down();
  /// The zygote cannot remove the group it is in.
  bool leaves_group() const { return guard_ && !guard_->way_out().empty(); }

 private:
  void handle(Channel::Packet packet);
  void begin(Pending step);
  void launch(Pending step, NetworkPool::Slot* slot);
  void join(Pending step);
  void lose_network(const NetworkPool::EndedHelper& helper);
  DeviceGuard& guard();
  void sweep();
  void prepare_network();
  void place(Running& step, ChildPlan& plan, SecurityMode security);
  const OwnGroup* group_of(const Running& step) const;
  static pid_t clone_child(uint64_t flags, const ChildPlan& plan, const OwnGroup* group);
  const SeccompFilter* filter_for(const ExecSpec& spec);
  ChildPlan plan_for(const Pending& step, int failure_fd);
  void signal_step(uint64_t id, int number);
  void reap();
  void ended(pid_t pid, int status, const rusage& usage);
  void fail(uint64_t id, std::string message);
  void report(const ExitReport& report);
  void flush();
  void wait();

  const ExecutorOptions& options_;
  Channel channel_;
  UniqueFd children_;  // signalfd for SIGCHLD
  UniqueFd own_pidfd_;
  std::optional<SeccompFilter> filter_;
  // Once there is a guard:
  std::vector<Hierarchy> hierarchies_;
  std::vector<CgroupMount> shared_groups_;  // what steps see that have no groups of their own
  std::optional<DeviceGuard> guard_;
  bool swept_ = false;
  NetworkPool network_;
  std::unordered_map<pid_t, Running> running_;
  std::deque<std::string> unsent_;  // reports; so that a slow lade never blocks us
};

Zygote::Zygote(Channel channel, const ExecutorOptions& options)
    : options_(options), channel_(std::move(channel)), network_(options.network) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  children_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  own_pidfd_ = pidfd_of(::getpid());
  if (!children_) throw_errno("could not set up the zygote");
}

void Zygote::serve() {
  while (channel_.state() == Channel::State::open) {
    flush();
    wait();
    while (auto packet = channel_.receive()) handle(std::move(*packet));
    for (const auto& failed : network_.update()) lose_network(failed);
    reap();
    sweep();
  }
}

void Zygote::wait() {
  const short events = unsent_.empty() ? POLLIN : POLLIN | POLLOUT;
  std::vector<pollfd> fds = {{channel_.fd(), events, 0}, {children_.get(), POLLIN, 0}};
  network_.add_poll(fds);
  ::poll(fds.data(), fds.size(), -1);
}

void Zygote::handle(Channel::Packet packet) {
  WireReader in(packet.bytes);
  const auto request = in.number<Request>();
  if (request == Request::prefetch_network) {
    try {
      prepare_network();
      guard();
      if (!filter_) filter_ = SeccompFilter::compile();
    } catch (const Error&) {
      // The step that needs it will try again and report.
    }
    return;
  }
  const auto id = in.number();
  if (request == Request::signal) return signal_step(id, in.number<int>());
  try {
    auto& fds = packet.fds;
    if (fds.empty()) throw Error("the zygote has no descriptors left");
    Pending step;
    step.id = id;
    step.request = decode_start_request(read_memory_file(fds[0].get()));
    const bool input = step.request.has_input;
    if (fds.size() != 3u + (input ? 1 : 0) + (step.request.has_terminal ? 1 : 0)) {
      throw Error("the zygote has no descriptors left");
    }
    step.out = std::move(fds[1]);
    step.err = std::move(fds[2]);
    if (input) step.input = std::move(fds[3]);
    if (step.request.has_terminal) step.terminal = std::move(fds.back());
    begin(std::move(step));
  } catch (const std::exception& error) {
    fail(id, error.what());
  }
}

void Zygote::begin(Pending step) {
  if (step.request.spec.join) return join(std::move(step));
  if (step.request.spec.network != NetworkMode::sandbox) return launch(std::move(step), nullptr);
  prepare_network();
  NetworkPool::Slot* slot = network_.acquire(step.request.network_helper);
  launch(std::move(step), slot);
}

DeviceGuard& Zygote::guard() {
  if (guard_ && !guard_->is_there()) guard_.reset();
  if (!guard_) {
    hierarchies_ = find_hierarchies();
    guard_ = DeviceGuard::create(options_.devices, hierarchies_);
    shared_groups_ = find_cgroup_mounts(hierarchies_, SecurityMode::sandbox);
  }
  return *guard_;
}

/// Once, beside the first step: of those who were killed earlier.
void Zygote::sweep() {
  if (!guard_ || swept_) return;
  swept_ = true;
  sweep_groups(hierarchies_);
}

void Zygote::prepare_network() {
  if (network_.has_free_slot()) return;
  // Before there is a guard nothing is guarded.
  if (!guard_) return network_.prepare();
  guard_->outside([&] { network_.prepare(); });
}

/// Says which groups the step runs in, and what is left for mounts to keep it from.
void Zygote::place(Running& step, ChildPlan& plan, SecurityMode security) {
  if (step.cgroup) plan.cgroup = &*step.cgroup;
  if (security == SecurityMode::insecure) {
    if (!step.cgroup && !guard().way_out().empty()) plan.leave = &guard().way_out();
    return;
  }
  if (step.cgroup) {
    plan.nodev = !guard().protect(*step.cgroup);
  } else {
    plan.nodev = guard().defence() == DeviceDefence::mounts;
    plan.cgroups = &shared_groups_;
    step.guarded = !plan.nodev;
  }
}

void Zygote::launch(Pending step, NetworkPool::Slot* slot) {
  const ExecSpec& spec = step.request.spec;
  Running running;
  running.id = step.id;
  running.slot = slot;
  running.slot_reusable = spec.security != SecurityMode::insecure;
  try {
    CgroupLimits limits = spec.cgroup_limits;
    if (limits.pids == 0) limits.pids = options_.pids;
    running.pids_limit = limits.pids;
    if (spec.cgroup_parent || limits.any()) {
      running.cgroup = StepCgroup::create(spec.cgroup_parent.value_or(kDefaultParent),
                                          fmt::format("lade-{}-{}", ::getpid(), step.id), limits);
    }
    sys::Pipe failure = sys::pipe();
    ChildPlan plan = plan_for(step, failure.write.get());
    if (slot != nullptr) plan.netns_fd = NetworkPool::netns(*slot);
    place(running, plan, spec.security);
    uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    if (spec.network == NetworkMode::none) flags |= CLONE_NEWNET;
    const pid_t pid = clone_child(flags, plan, group_of(running));
    running.failure = std::move(failure.read);
    running_.emplace(pid, std::move(running));
  } catch (...) {
    if (slot != nullptr) network_.release(slot, true);
    throw;
  }
}

/// The v2 group to be born in; nullptr for the zygote's own.
const OwnGroup* Zygote::group_of(const Running& step) const {
  if (step.cgroup) return step.cgroup->v2_group();
  const bool shared = step.guarded && guard_ && guard_->defence() == DeviceDefence::cgroup_v2;
  return shared ? &guard_->group() : nullptr;
}

const SeccompFilter* Zygote::filter_for(const ExecSpec& spec) {
  if (spec.security == SecurityMode::insecure) return nullptr;
  if (!filter_) filter_ = SeccompFilter::compile();
  return &*filter_;
}

/// What every child is told; the caller adds where it goes.
ChildPlan Zygote::plan_for(const Pending& step, int failure_fd) {
  return {
      .spec = step.request.spec,
      .stdin_fd = step.input.get(),
      .stdout_fd = step.out.get(),
      .stderr_fd = step.err.get(),
      .terminal_fd = step.terminal.get(),
      .failure_fd = failure_fd,
      .zygote_pidfd = own_pidfd_.get(),
      .hierarchies = hierarchies_,
      .filter = filter_for(step.request.spec),
  };
}

void Zygote::join(Pending step) {
  const auto target = std::find_if(running_.begin(), running_.end(), [&](const auto& entry) {
    return entry.second.id == *step.request.spec.join;
  });
  if (target == running_.end()) throw Error("the container has ended");
  // Not reaped yet, so the number is still its own.
  const UniqueFd pidfd = pidfd_of(target->first);
  sys::Pipe failure = sys::pipe();
  ChildPlan plan = plan_for(step, failure.write.get());
  if (target->second.cgroup) plan.cgroup = &*target->second.cgroup;
  const bool unguarded = !target->second.cgroup && !target->second.guarded;
  if (unguarded && !guard().way_out().empty()) plan.leave = &guard().way_out();
  plan.joined_pid = target->first;
  plan.joined_pidfd = pidfd.get();
  plan.joined_failure_fd = target->second.failure.get();
  const UniqueFd own_pid_namespace = sys::open("/proc/self/ns/pid", O_RDONLY);
  // For the children made from now on; a process's own PID namespace never changes.
  if (::setns(pidfd.get(), CLONE_NEWPID) != 0) throw Error("the container has ended");
  pid_t pid = -1;
  std::exception_ptr problem;
  try {
    pid = clone_child(0, plan, group_of(target->second));
  } catch (...) {
    problem = std::current_exception();
  }
  // Whatever is made next must not be born in there.
  if (::setns(own_pid_namespace.get(), CLONE_NEWPID) != 0) ::_exit(1);
  if (problem) std::rethrow_exception(problem);
  Running running;
  running.id = step.id;
  running.joined = true;
  running.failure = std::move(failure.read);
  running_.emplace(pid, std::move(running));
}

pid_t Zygote::clone_child(uint64_t flags, const ChildPlan& plan, const OwnGroup* group) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  if (group != nullptr) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(group->fd());
  }
  // As fork(2) would return: on a copy of this stack.
  long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0 && errno == EAGAIN && plan.joined_pid > 0) {
    throw Error("the container has reached its limit of processes");
  }
  if (pid == 0) run_child(plan);
  // A container's filter denies what it cannot look into.
  if (pid < 0 && (errno == ENOSYS || errno == EPERM)) {
    pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) {
      ChildPlan unborn = plan;
      unborn.v2_group = group;
      run_child(unborn);
    }
  }
  if (pid < 0) fail_to_clone();
  return static_cast<pid_t>(pid);
}

void Zygote::signal_step(uint64_t id, int number) {
  for (const auto& [pid, step] : running_) {
    // Not reaped yet, so the number is still its own.
    if (step.id == id) ::kill(pid, number);
  }
}

/// A step whose packets go nowhere is not left to find out by its own time-outs.
void Zygote::lose_network(const NetworkPool::EndedHelper& helper) {
  if (helper.failure.empty()) return;
  for (auto& [pid, step] : running_) {
    if (step.slot != helper.slot) continue;
    step.network_failure = helper.failure;
    ::kill(pid, SIGKILL);
  }
}

void Zygote::reap() {
  signalfd_siginfo info{};
  while (::read(children_.get(), &info, sizeof info) > 0) {
  }
  int status = 0;
  rusage usage{};
  for (pid_t pid = 0; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
    const auto helper = network_.helper_ended(pid, status);
    if (helper.slot != nullptr) {
      lose_network(helper);
    } else {
      ended(pid, status, usage);
    }
  }
}

/// What the child wrote before it gave up. Its end of the pipe is closed by now.
std::optional<SetupFailure> read_failure(int fd) {
  std::array<char, 8192> bytes{};
  const size_t size = sys::read_some(fd, bytes.data(), bytes.size());
  if (size == 0) return std::nullopt;
  return decode_setup_failure({bytes.data(), size});
}

void Zygote::ended(pid_t pid, int status, const rusage& usage) {
  auto node = running_.extract(pid);
  if (node.empty()) return;
  Running& step = node.mapped();
  ExitReport out{step.id, {}};
  ExecResult& result = out.result;
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
    result.exit_code = 128 + result.signal;
  } else {
    result.exit_code = WEXITSTATUS(status);
  }
  if (auto failure = read_failure(step.failure.get())) {
    result.exit_code = failure->exit_code;
    result.setup_error = std::move(failure->message);
  }
  if (!step.network_failure.empty()) {
    result.exit_code = sandbox_failed;
    result.setup_error = std::move(step.network_failure);
  }
  result.user_us = microseconds(usage.ru_utime);
  result.system_us = microseconds(usage.ru_stime);
  result.max_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) << 10;
  result.out_of_memory = step.cgroup && step.cgroup->out_of_memory();
  if (step.pids_limit != 0 && step.cgroup->out_of_pids()) result.pids_limit_met = step.pids_limit;
  // Before anybody hears of the end: nothing of the step is left then.
  step.cgroup.reset();
  if (step.slot != nullptr) network_.release(step.slot, step.slot_reusable);
  report(out);
}

void Zygote::fail(uint64_t id, std::string message) {
  ExitReport out{id, {}};
  out.result.exit_code = sandbox_failed;
  out.result.setup_error = std::move(message) + old_kernel_note();
  report(out);
}

void Zygote::report(const ExitReport& report) {
  unsent_.push_back(encode(report));
  flush();
}

void Zygote::flush() {
  while (!unsent_.empty() && channel_.try_send(unsent_.front())) unsent_.pop_front();
}

void Zygote::shut_down() {
  for (const auto& [pid, step] : running_) ::kill(pid, SIGKILL);
  // The first process of a PID namespace ends after those that joined it have been waited for.
  for (const bool joined : {true, false}) {
    for (const auto& [pid, step] : running_) {
      if (step.joined != joined) continue;
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
  running_.clear();  // with their cgroups, empty now
}

/// Lets go of what the fork inherited: lade's descriptors, its terminal, its working directory.
void settle(Channel& channel) {
  if (channel.fd() < 3) {  // lade was started with a standard stream closed
    channel = Channel(UniqueFd(::fcntl(channel.fd(), F_DUPFD_CLOEXEC, 3)));
  }
  ::prctl(PR_SET_NAME, "lade-zygote");
  ::setsid();
  // Lade decides when a build ends, and tells us by closing the socket.
  reset_signals({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE});
  if (::chdir("/") != 0) throw_errno("could not enter '/'");
  ::umask(0);  // modes of what is made in a sandbox are meant as they are written
  {
    const UniqueFd null = sys::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) {
      if (fd != null.get()) ::dup2(null.get(), fd);
    }
  }
  const auto keep = static_cast<unsigned>(channel.fd());
  if (keep > 3) sys::close_descriptors(3, keep - 1);
  sys::close_descriptors(keep + 1, ~0u);
}

}  // namespace

void run_zygote(Channel channel, const ExecutorOptions& options) noexcept {
  try {
    settle(channel);
    Zygote zygote(std::move(channel), options);
    zygote.serve();
    zygote.shut_down();
    if (zygote.leaves_group()) ::_exit(static_cast<int>(ZygoteExit::left_group));
  } catch (const std::exception&) {
    // Lade sees the socket's end; the sandboxes and helpers see ours.
    ::_exit(static_cast<int>(ZygoteExit::failed));
  }
  ::_exit(0);
}

}  // namespace lade::sandbox
