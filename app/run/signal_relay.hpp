// Signals to `lade run`: they are the container's.
#pragma once

#include <functional>
#include <mutex>

#include "app/ui/signal_thread.hpp"

namespace lade {

/// From its making on, signals that a program may want come to a thread of their own; make it
/// before other threads start, which inherit the mask. While nobody takes them, those that end a
/// process end lade. The third SIGINT or SIGTERM is a SIGKILL for whoever takes them; the fourth
/// ends lade at once.
class SignalRelay {
 public:
  SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

  /// `take` is called with each signal, on the relay's thread; empty: nobody takes them.
  /// `at_end` is called before lade is ended.
  void set_receiver(std::function<void(int)> take, std::function<void()> at_end);

 private:
  void deliver(int signal);

  std::mutex mutex_;  // guards what is below
  std::function<void(int)> take_;
  std::function<void()> at_end_;
  int endings_ = 0;
  SignalThread thread_;  // ends before what it uses
};

}  // namespace lade
