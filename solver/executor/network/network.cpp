#include "solver/executor/network/network.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/network/network_helper.hpp"
#include "solver/executor/network/network_link.hpp"

namespace lade::sandbox {

struct NetworkPool::Slot {
  NetworkLink link;
  bool lent = false;
  bool down = false;  // for the rest of its step: no more helpers, whatever waits in `tap`
  std::string helper_path;
  pid_t helper = -1;
  UniqueFd exit;    // closing it ends the helper
  UniqueFd errors;  // memory file that takes slirp4netns's messages

  ~Slot() {
    exit.reset();
    if (helper <= 0) return;
    while (::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

namespace {

bool wants_helper(const NetworkPool::Slot& slot) {
  return slot.lent && slot.helper < 0 && !slot.down;
}

void start_helper(NetworkPool::Slot& slot, const NetworkReach& reach) {
  sys::Pipe exit = sys::pipe();
  slot.errors.reset(::memfd_create("slirp4netns-log", MFD_CLOEXEC));
  if (!slot.errors) throw_errno("could not make a memory file");
  slot.helper = ::fork();
  if (slot.helper < 0) throw_errno("could not start the network helper");
  if (slot.helper == 0) {
    run_network_helper(slot.helper_path, reach, slot.link.tap.get(), exit.read.get(),
                       slot.errors.get());
  }
  slot.exit = std::move(exit.write);
}

/// What slirp4netns says of itself when all is well.
bool is_usual(const std::string& line) {
  constexpr std::array usual = {"WARNING", "Waiting for", "sent ", "received ", "Starting ", "* "};
  return std::ranges::any_of(usual, [&](const char* start) { return line.starts_with(start); });
}

std::string failure_text(const NetworkPool::Slot& slot, int status) {
  std::array<char, 4096> log{};
  const ssize_t size = ::pread(slot.errors.get(), log.data(), log.size(), 0);
  const std::string_view text(log.data(), size > 0 ? static_cast<size_t>(size) : 0);
  std::string reason;
  for (const auto& line : split(trim(text), '\n')) {
    if (is_usual(line)) continue;
    if (!reason.empty()) reason += "; ";
    reason += line;
  }
  if (!WIFEXITED(status)) {
    return fmt::format(
        "the network of the sandbox was lost: the process that carries its frames "
        "(lade-network) was ended by SIG{}",
        sigabbrev_np(WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) == static_cast<int>(HelperExit::lost)) {
    return "the network of the sandbox was lost: slirp4netns: " + reason;
  }
  if (reason.empty()) reason = "it was not ready in time";
  return "could not set up the network of the sandbox: slirp4netns: " + reason;
}

}  // namespace

NetworkPool::NetworkPool(NetworkReach reach)
    : reach_(std::move(reach)), own_netns_(sys::open("/proc/self/ns/net", O_RDONLY)) {}

NetworkPool::~NetworkPool() {
  for (const auto& slot : slots_) slot->exit.reset();  // all at once; then each is waited for
}

bool NetworkPool::has_free_slot() const {
  return std::ranges::any_of(slots_, [](const auto& slot) { return !slot->lent; });
}

void NetworkPool::prepare() {
  if (has_free_slot()) return;
  auto slot = std::make_unique<Slot>();
  slot->link = make_network_link(own_netns_.get());
  slots_.push_back(std::move(slot));
}

NetworkPool::Slot* NetworkPool::acquire(const std::string& helper) {
  prepare();
  const auto free = std::ranges::find_if(slots_, [](const auto& slot) { return !slot->lent; });
  Slot& slot = **free;
  // Of a helper that ended before there was a step: not this one's failure.
  if (slot.helper > 0 && ::waitpid(slot.helper, nullptr, WNOHANG) == slot.helper) slot.helper = -1;
  slot.lent = true;
  slot.helper_path = helper;
  return &slot;
}

void NetworkPool::release(Slot* slot, bool reusable) {
  slot->lent = false;
  if (reusable && !slot->down) return;
  std::erase_if(slots_, [&](const auto& other) { return other.get() == slot; });
}

int NetworkPool::netns(const Slot& slot) {
  return slot.link.netns.get();
}

void NetworkPool::add_poll(std::vector<pollfd>& fds) const {
  for (const auto& slot : slots_) {
    if (wants_helper(*slot)) fds.push_back({slot->link.tap.get(), POLLIN, 0});
  }
}

std::vector<NetworkPool::EndedHelper> NetworkPool::update() {
  std::vector<EndedHelper> failures;
  for (const auto& slot : slots_) {
    if (!wants_helper(*slot)) continue;
    pollfd tap{slot->link.tap.get(), POLLIN, 0};
    if (::poll(&tap, 1, 0) <= 0) continue;
    try {
      start_helper(*slot, reach_);
    } catch (const Error& error) {
      slot->down = true;
      failures.push_back({slot.get(), error.what()});
    }
  }
  return failures;
}

NetworkPool::EndedHelper NetworkPool::helper_ended(pid_t pid, int status) {
  const auto found =
      std::ranges::find_if(slots_, [&](const auto& slot) { return slot->helper == pid; });
  if (found == slots_.end()) return {};
  Slot& slot = **found;
  slot.helper = -1;
  const bool meant =
      WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(HelperExit::ended);
  slot.down = slot.lent;
  return {&slot, meant ? std::string() : failure_text(slot, status)};
}

}  // namespace lade::sandbox
