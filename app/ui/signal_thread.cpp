#include "app/ui/signal_thread.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade {

SignalThread::SignalThread(const std::vector<int>& signals, Take take) : take_(std::move(take)) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, &before_);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!signals_ || !stop_) throw_errno("could not watch for signals");
  thread_ = std::thread([this] { serve(); });
}

SignalThread::~SignalThread() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void SignalThread::serve() {
  pollfd fds[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  std::optional<std::chrono::milliseconds> timeout;
  for (;;) {
    const int ready = ::poll(fds, 2, timeout ? static_cast<int>(timeout->count()) : -1);
    if (ready < 0) continue;  // EINTR
    if (fds[1].revents != 0) return;
    signalfd_siginfo info{};
    if (ready > 0 && ::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    timeout = take_(ready == 0 ? 0 : static_cast<int>(info.ssi_signo));
  }
}

}  // namespace lade
