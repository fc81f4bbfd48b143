#include "app/ui/interrupts.hpp"

#include <atomic>
#include <csignal>
#include <string_view>

#include <unistd.h>

#include "base/abrupt_end.hpp"

namespace lade {
namespace {

constexpr std::chrono::milliseconds kGrace(1500);

std::atomic<int> first_signal = 0;

[[noreturn]] void end_canceled() {
  constexpr std::string_view kMessage = "ERROR: canceled\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  end_abruptly(interrupted_exit_code());
}

}  // namespace

int interrupted_exit_code() {
  const int signal = first_signal;
  return signal == 0 ? 0 : 128 + signal;
}

Interrupts::Interrupts()
    : thread_({SIGINT, SIGTERM}, [this](int signal) { return take(signal); }) {}

void Interrupts::set_cancel(std::function<void()> cancel) {
  const std::lock_guard lock(mutex_);
  cancel_ = std::move(cancel);
}

std::optional<std::chrono::milliseconds> Interrupts::take(int signal) {
  const std::lock_guard lock(mutex_);
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
  // 0: the moment is over.
  if (signal == 0 || canceled_ || !cancel_) end_canceled();
  cancel_();
  canceled_ = true;
  return kGrace;
}

}  // namespace lade
