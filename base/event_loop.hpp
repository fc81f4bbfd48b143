// The one thread that waits: descriptors, timers, and work posted from other threads. All of a
// build's scheduling state lives on it, so that state needs no locks. CPU work goes to oneTBB and
// blocking transfers to threads of their own (base/task.hpp); both come back through post().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace lade {

/// An epoll loop. Create, run and destroy it on one thread; only post() may be called from others.
class EventLoop {
 public:
  using Callback = std::function<void()>;
  using FdCallback = std::function<void(uint32_t events)>;  ///< EPOLLIN, EPOLLOUT, EPOLLHUP ...
  using TimerId = uint64_t;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs `callback` on the loop's thread, in the order of posting. Thread-safe; wakes the loop.
  void post(Callback callback);

  /// Calls `callback` whenever `fd` has one of `events`, until unwatch(fd). The caller keeps owning
  /// fd and must unwatch it before closing it.
  void watch(int fd, uint32_t events, FdCallback callback);
  void unwatch(int fd);

  TimerId after(std::chrono::milliseconds delay, Callback callback);
  void cancel(TimerId timer);

  /// Serves events until `done()` is true; it is asked after each batch of callbacks.
  void run_until(const std::function<bool()>& done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lade
