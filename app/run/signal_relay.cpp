#include "app/run/signal_relay.hpp"

#include <utility>

#include "base/abrupt_end.hpp"

namespace lade {
namespace {

constexpr int kSignaled = 128;
constexpr int kPatience = 3;

}  // namespace

SignalRelay::SignalRelay()
    : thread_({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH},
              [this](int signal) -> std::optional<std::chrono::milliseconds> {
                deliver(signal);
                return std::nullopt;
              }) {}

void SignalRelay::set_receiver(std::function<void(int)> take, std::function<void()> at_end) {
  const std::lock_guard lock(mutex_);
  take_ = std::move(take);
  at_end_ = std::move(at_end);
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
