#include "solver/executor/network.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/signals.hpp"

namespace lade::sandbox {

using Clock = std::chrono::steady_clock;

namespace {
constexpr auto start_timeout = std::chrono::seconds(10);
// The largest slirp4netns takes: no packet of the tap leaves the machine, and fewer are faster.
constexpr const char* mtu = "--mtu=65520";
}  // namespace

struct NetworkPool::Slot {
  enum class State { starting, free, lent, dead };

  State state = State::starting;
  UniqueFd netns;
  UniqueFd ready;   // one byte when the tap is up; EOF when the helper has ended before
  UniqueFd exit;    // closing it ends the helper
  UniqueFd errors;  // memory file that takes the helper's stderr
  pid_t helper = -1;
  Clock::time_point deadline;

  ~Slot() {
    if (helper <= 0) return;
    ::kill(helper, SIGKILL);
    while (::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

namespace {

/// A fresh network namespace, made by stepping into it and back.
UniqueFd create_netns(int own_netns) {
  if (::unshare(CLONE_NEWNET) != 0) throw_errno("could not make a network namespace");
  UniqueFd fd = sys::open("/proc/self/ns/net", O_RDONLY);
  if (::setns(own_netns, CLONE_NEWNET) != 0) throw_errno("could not leave a network namespace");
  return fd;
}

void keep_on_exec(int fd) {
  ::fcntl(fd, F_SETFD, 0);
}

[[noreturn]] void run_helper(const std::string& helper, int netns, int ready, int exit_fd,
                             int errors) {
  for (const int fd : {netns, ready, exit_fd}) keep_on_exec(fd);
  ::dup2(errors, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  reset_signals();
  const std::string ready_option = fmt::format("--ready-fd={}", ready);
  const std::string exit_option = fmt::format("--exit-fd={}", exit_fd);
  const std::string netns_path = fmt::format("/proc/self/fd/{}", netns);
  // --enable-sandbox and --enable-seccomp: it speaks TCP with whatever a step sends, so it gets
  // along with no capabilities, few system calls and an empty root.
  ::execl(helper.c_str(), "slirp4netns", "--configure", mtu, "--disable-host-loopback",
          "--enable-sandbox", "--enable-seccomp", ready_option.c_str(), exit_option.c_str(),
          "--netns-type=path", netns_path.c_str(), "tap0", nullptr);
  ::dprintf(STDERR_FILENO, "could not run %s: %s\n", helper.c_str(), strerrorname_np(errno));
  ::_exit(127);
}

std::unique_ptr<NetworkPool::Slot> start_slot(const std::string& helper, int own_netns) {
  auto slot = std::make_unique<NetworkPool::Slot>();
  slot->netns = create_netns(own_netns);
  sys::Pipe ready = sys::pipe(O_NONBLOCK);
  sys::Pipe exit = sys::pipe();
  slot->errors.reset(::memfd_create("slirp4netns-log", MFD_CLOEXEC));
  if (!slot->errors) throw_errno("could not make a memory file");
  slot->helper = ::fork();
  if (slot->helper < 0) throw_errno("could not start the network helper");
  if (slot->helper == 0) {
    run_helper(helper, slot->netns.get(), ready.write.get(), exit.read.get(), slot->errors.get());
  }
  slot->ready = std::move(ready.read);
  slot->exit = std::move(exit.write);
  slot->deadline = Clock::now() + start_timeout;
  return slot;
}

std::string failure_text(const NetworkPool::Slot& slot) {
  std::array<char, 4096> log{};
  const ssize_t size = ::pread(slot.errors.get(), log.data(), log.size(), 0);
  const std::string_view text(log.data(), size > 0 ? static_cast<size_t>(size) : 0);
  std::string reason;
  for (const auto& line : split(trim(text), '\n')) {
    if (line.starts_with("WARNING") || line.starts_with("sent tapfd")) continue;
    if (!reason.empty()) reason += "; ";
    reason += line;
  }
  if (reason.empty()) reason = "it was not ready in time";
  return "could not set up the network of the sandbox: slirp4netns: " + reason;
}

}  // namespace

NetworkPool::NetworkPool() : own_netns_(sys::open("/proc/self/ns/net", O_RDONLY)) {}
NetworkPool::~NetworkPool() = default;

void NetworkPool::prepare(const std::string& helper, size_t wanted) {
  using State = Slot::State;
  auto usable = static_cast<size_t>(std::ranges::count_if(slots_, [](const auto& slot) {
    return slot->state == State::starting || slot->state == State::free;
  }));
  for (; usable < wanted; ++usable) slots_.push_back(start_slot(helper, own_netns_.get()));
}

NetworkPool::Slot* NetworkPool::acquire() {
  for (const auto& slot : slots_) {
    if (slot->state != Slot::State::free) continue;
    slot->state = Slot::State::lent;
    return slot.get();
  }
  return nullptr;
}

void NetworkPool::release(Slot* slot, bool reusable) {
  if (reusable && slot->state == Slot::State::lent) {
    slot->state = Slot::State::free;
    return;
  }
  std::erase_if(slots_, [&](const auto& other) { return other.get() == slot; });
}

int NetworkPool::netns(const Slot& slot) {
  return slot.netns.get();
}

void NetworkPool::add_poll(std::vector<pollfd>& fds) const {
  for (const auto& slot : slots_) {
    if (slot->state == Slot::State::starting) fds.push_back({slot->ready.get(), POLLIN, 0});
  }
}

int NetworkPool::deadline_ms() const {
  auto nearest = Clock::time_point::max();
  for (const auto& slot : slots_) {
    if (slot->state == Slot::State::starting) nearest = std::min(nearest, slot->deadline);
  }
  if (nearest == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(nearest - Clock::now()).count();
  return static_cast<int>(std::max<int64_t>(left, 0));
}

std::vector<std::string> NetworkPool::update() {
  std::vector<std::string> failures;
  const auto failed = [&](const std::unique_ptr<Slot>& slot) {
    if (slot->state != Slot::State::starting) return false;
    char byte = 0;
    const ssize_t size = ::read(slot->ready.get(), &byte, 1);
    if (size == 1) {
      slot->state = Slot::State::free;
      slot->ready.reset();
      return false;
    }
    if (size < 0 && Clock::now() < slot->deadline) return false;
    failures.push_back(failure_text(*slot));
    return true;
  };
  std::erase_if(slots_, failed);
  return failures;
}

bool NetworkPool::helper_ended(pid_t pid) {
  const auto found =
      std::ranges::find_if(slots_, [&](const auto& slot) { return slot->helper == pid; });
  if (found == slots_.end()) return false;
  Slot& slot = **found;
  slot.helper = -1;
  // A lent slot's owner still refers to it; a starting one is judged by update().
  if (slot.state == Slot::State::lent) slot.state = Slot::State::dead;
  if (slot.state == Slot::State::free) slots_.erase(found);
  return true;
}

std::string find_network_helper() {
  const char* path = std::getenv("PATH");
  auto dirs = split(path != nullptr ? path : "", ':');
  for (const char* usual : {"/usr/local/bin", "/usr/bin", "/bin"}) dirs.emplace_back(usual);
  for (const auto& dir : dirs) {
    if (!dir.starts_with('/')) continue;
    std::string candidate = dir + "/slirp4netns";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  Error error("'slirp4netns' is needed for steps with network access and was not found",
              ErrorKind::not_found);
  error.set_hint("install the package slirp4netns, or build with --network=host or --network=none");
  throw error;
}

}  // namespace lade::sandbox
