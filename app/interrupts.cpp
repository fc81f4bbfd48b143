#include "app/interrupts.hpp"

#include <csignal>
#include <string_view>

#include <unistd.h>

#include "base/abrupt_end.hpp"

namespace lade {
namespace {

constexpr std::chrono::milliseconds kGrace(1500);
constexpr int kInterrupted = 130;  // 128 + SIGINT, as shells have it

[[noreturn]] void end_canceled() {
  constexpr std::string_view kMessage = "ERROR: canceled\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  end_abruptly(kInterrupted);
}

}  // namespace

Interrupts::Interrupts()
    : thread_({SIGINT, SIGTERM}, [this](int signal) { return take(signal); }) {}

void Interrupts::set_cancel(std::function<void()> cancel) {
  const std::lock_guard lock(mutex_);
  cancel_ = std::move(cancel);
}

std::optional<std::chrono::milliseconds> Interrupts::take(int signal) {
  const std::lock_guard lock(mutex_);
  // 0: the moment is over.
  if (signal == 0 || canceled_ || !cancel_) end_canceled();
  cancel_();
  canceled_ = true;
  return kGrace;
}

}  // namespace lade
