#include "app/run/signal_relay.hpp"

#include <array>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/abrupt_end.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

constexpr std::array kRelayed = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
constexpr int kSignaled = 128;
constexpr int kPatience = 3;

}  // namespace

SignalRelay::SignalRelay() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kRelayed) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!signals_ || !stop_) throw_errno("could not watch for signals");
  thread_ = std::thread([this] { serve(); });
}

SignalRelay::~SignalRelay() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void SignalRelay::set_receiver(std::function<void(int)> take, std::function<void()> at_end) {
  const std::lock_guard lock(mutex_);
  take_ = std::move(take);
  at_end_ = std::move(at_end);
}

void SignalRelay::serve() {
  pollfd fds[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  for (;;) {
    if (::poll(fds, 2, -1) < 0) continue;  // EINTR
    if (fds[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    deliver(static_cast<int>(info.ssi_signo));
  }
}

void SignalRelay::deliver(int signal) {
  const std::lock_guard lock(mutex_);
  const bool ending = signal == SIGINT || signal == SIGTERM;
  if (ending) ++endings_;
  if (take_ && endings_ < kPatience) return take_(signal);
  if (take_ && endings_ == kPatience) return take_(SIGKILL);
  if (signal == SIGWINCH) return;
  if (at_end_) at_end_();
  end_abruptly(kSignaled + signal);
}

}  // namespace lade
