// SIGINT and SIGTERM during a build.
#pragma once

#include <functional>
#include <mutex>

#include "app/ui/signal_thread.hpp"

namespace lade {

/// From its making on, the signals come to a thread of their own. While something can be canceled,
/// the first one cancels it, and what has not ended a moment later (a transfer that stalls) ends
/// with the process; otherwise, and at the second signal, the process ends at once. Make it before
/// other threads start: they inherit the mask.
class Interrupts {
 public:
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// What the first signal calls, on the interrupt thread; empty: nothing can be canceled now.
  void set_cancel(std::function<void()> cancel);

 private:
  std::optional<std::chrono::milliseconds> take(int signal);

  std::mutex mutex_;  // guards what is below
  std::function<void()> cancel_;
  bool canceled_ = false;
  SignalThread thread_;  // ends before what it uses
};

/// What a process that was interrupted ends with, as shells have it: 128 + the signal's number. 0
/// if no signal came.
int interrupted_exit_code();

/// While it lives, the first signal calls `cancel`. `interrupts` may be null: then nothing does.
class CancelScope {
 public:
  CancelScope(Interrupts* interrupts, std::function<void()> cancel) : interrupts_(interrupts) {
    if (interrupts_) interrupts_->set_cancel(std::move(cancel));
  }
  ~CancelScope() {
    if (interrupts_) interrupts_->set_cancel(nullptr);
  }
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

 private:
  Interrupts* interrupts_;
};

}  // namespace lade
