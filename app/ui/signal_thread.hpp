// Signals that come to a thread of their own.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <signal.h>

#include "base/unique_fd.hpp"

namespace lade {

/// From its making on, the signals are blocked and told to `take`. Make it before other threads
/// start: they inherit the mask.
class SignalThread {
 public:
  /// Called on the thread with each signal. What it returns is a time after which, unless another
  /// signal comes before, it is called once more, with 0.
  using Take = std::function<std::optional<std::chrono::milliseconds>(int signal)>;

  SignalThread(const std::vector<int>& signals, Take take);
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void serve();

  const Take take_;
  sigset_t before_{};
  UniqueFd signals_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace lade
