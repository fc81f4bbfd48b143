#include "app/interrupts.hpp"

#include <csignal>
#include <string_view>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/abrupt_end.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

constexpr int kGraceMilliseconds = 1500;
constexpr int kInterrupted = 130;  // 128 + SIGINT, as shells have it

[[noreturn]] void end_canceled() {
  constexpr std::string_view kMessage = "ERROR: canceled\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  end_abruptly(kInterrupted);
}

}  // namespace

Interrupts::Interrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!signals_ || !stop_) throw_errno("could not watch for signals");
  thread_ = std::thread([this] { serve(); });
}

Interrupts::~Interrupts() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Interrupts::set_cancel(std::function<void()> cancel) {
  const std::lock_guard lock(mutex_);
  cancel_ = std::move(cancel);
}

void Interrupts::serve() {
  pollfd fds[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  int timeout = -1;
  for (;;) {
    const int ready = ::poll(fds, 2, timeout);
    if (ready < 0) continue;  // EINTR
    if (ready == 0) end_canceled();
    if (fds[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    const std::lock_guard lock(mutex_);
    if (timeout >= 0 || !cancel_) end_canceled();
    cancel_();
    timeout = kGraceMilliseconds;
  }
}

}  // namespace lade
