// A few threads that may wait for the network, so that oneTBB's need not.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lade {

/// Runs `body(0)` to `body(count - 1)` on threads of its own, several at a time, from construction
/// on.
class Fetchers {
 public:
  Fetchers(size_t count, std::function<void(size_t)> body);
  ~Fetchers();  ///< starts nothing further, waits for what runs

  /// Waits for all; rethrows the first failure, after which no further item was started.
  void join();

 private:
  void work();

  size_t count_;
  std::function<void(size_t)> body_;
  std::atomic<size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace lade
