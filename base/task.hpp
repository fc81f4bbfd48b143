// Coroutines on the event loop: what a build waits for reads as a sequence, while no thread waits.
//
//   Task<Ref> Solve::result(...) {
//     const Key key = co_await key_of(vertex);
//     const Digest digest = co_await on_cpu(loop, [&] { return hash(...); });   // runs on oneTBB
//     co_await on_thread(loop, [&] { pull(...); });                            // blocks a thread
//     of its own
//   }
//
// A Task starts when it is first awaited or start()ed, may be awaited any number of times, and
// gives each awaiter a copy of its value or rethrows its error. All of it happens on the loop's
// thread; resumptions go through one queue, so that a chain of thousands of tasks does not deepen
// the stack.
#pragma once

#include <coroutine>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/cpu_pool.hpp"
#include "base/event_loop.hpp"

namespace lade {

/// Resumes `handle` soon, on this thread: at once if nothing is being resumed, else after that.
inline void resume_soon(std::coroutine_handle<> handle) {
  thread_local std::deque<std::coroutine_handle<>> queue;
  thread_local bool draining = false;
  queue.push_back(handle);
  if (draining) return;
  draining = true;
  while (!queue.empty()) {
    const auto next = queue.front();
    queue.pop_front();
    next.resume();
  }
  draining = false;
}

template <class T>
class [[nodiscard]] Task {
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  struct State {
    std::coroutine_handle<> frame;  // not started yet, while set
    std::optional<Value> value;
    std::exception_ptr error;
    std::vector<std::coroutine_handle<>> waiters;

    bool done() const { return value || error; }
    ~State() {
      if (frame) frame.destroy();
    }
  };

  struct PromiseBase {
    State* state = nullptr;
    std::shared_ptr<State>
        keep;  // only once started: a task that never starts is freed with its handles

    std::suspend_always initial_suspend() noexcept { return {}; }
    // The frame destroys itself; results and waiters live in the shared state.
    std::suspend_never final_suspend() noexcept { return {}; }
    void unhandled_exception() {
      state->error = std::current_exception();
      wake();
    }
    void wake() {
      for (const auto waiter : std::exchange(state->waiters, {})) resume_soon(waiter);
    }
  };
  struct ValuePromise : PromiseBase {
    void return_value(Value value) {
      this->state->value = std::move(value);
      this->wake();
    }
  };
  struct VoidPromise : PromiseBase {
    void return_void() {
      this->state->value.emplace();
      this->wake();
    }
  };

 public:
  struct promise_type : std::conditional_t<std::is_void_v<T>, VoidPromise, ValuePromise> {
    Task get_return_object() {
      auto made = std::make_shared<State>();
      this->state = made.get();
      made->frame = std::coroutine_handle<promise_type>::from_promise(*this);
      return Task(std::move(made));
    }
  };

  Task() = default;

  /// Begins without waiting for it. Nothing happens if it has begun.
  void start() const { begin(state_); }
  bool valid() const { return state_ != nullptr; }
  bool done() const { return state_->done(); }
  bool running() const { return state_ && !state_->frame && !state_->done(); }
  /// The value of a done task; rethrows its error.
  T get() const {
    if (state_->error) std::rethrow_exception(state_->error);
    if constexpr (!std::is_void_v<T>) return *state_->value;
  }
  std::exception_ptr error() const { return state_->error; }

  auto operator co_await() const {
    struct Awaiter {
      std::shared_ptr<State> state;
      bool await_ready() const { return state->done(); }
      void await_suspend(std::coroutine_handle<> waiter) {
        state->waiters.push_back(waiter);
        begin(state);
      }
      T await_resume() const {
        if (state->error) std::rethrow_exception(state->error);
        if constexpr (!std::is_void_v<T>) return *state->value;
      }
    };
    return Awaiter{state_};
  }

 private:
  explicit Task(std::shared_ptr<State> state) : state_(std::move(state)) {}

  static void begin(const std::shared_ptr<State>& state) {
    if (!state->frame) return;
    const auto frame = std::exchange(state->frame, {});
    std::coroutine_handle<promise_type>::from_address(frame.address()).promise().keep = state;
    resume_soon(frame);
  }

  std::shared_ptr<State> state_;
};

namespace detail {

// Runs `Work` elsewhere through `Launch(callable)` and resumes the awaiter on the loop.
template <class Work, class Launch>
struct Elsewhere {
  using Result = std::invoke_result_t<Work&>;
  using Value = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

  EventLoop& loop;
  Work work;
  Launch launch;
  std::optional<Value> value;
  std::exception_ptr error;

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    launch([this, waiter, &the_loop = loop] {
      try {
        if constexpr (std::is_void_v<Result>) {
          work();
          value.emplace();
        } else {
          value.emplace(work());
        }
      } catch (...) {
        error = std::current_exception();
      }
      // *this may be gone as soon as the loop runs this.
      the_loop.post([waiter] { resume_soon(waiter); });
    });
  }
  Result await_resume() {
    launch.join();
    if (error) std::rethrow_exception(error);
    if constexpr (!std::is_void_v<Result>) return std::move(*value);
  }
};

struct LaunchOnCpu {
  template <class Body>
  void operator()(Body body) const {
    cpu_enqueue(std::move(body));
  }
  void join() {}
};

struct LaunchOnThread {
  std::thread thread;
  template <class Body>
  void operator()(Body body) {
    thread = std::thread(std::move(body));
  }
  void join() { thread.join(); }
};

}  // namespace detail

/// Awaitable: `work()` on oneTBB's workers. For what computes; it must not wait for anything.
template <class Work>
auto on_cpu(EventLoop& loop, Work work) {
  return detail::Elsewhere<Work, detail::LaunchOnCpu>{
      loop, std::move(work), {}, std::nullopt, nullptr};
}

/// Awaitable: `work()` on a thread of its own. For what blocks: transfers, locks.
template <class Work>
auto on_thread(EventLoop& loop, Work work) {
  return detail::Elsewhere<Work, detail::LaunchOnThread>{
      loop, std::move(work), {}, std::nullopt, nullptr};
}

/// Awaitable: a pause.
inline auto sleep_for(EventLoop& loop, std::chrono::milliseconds delay) {
  struct Awaiter {
    EventLoop& loop;
    std::chrono::milliseconds delay;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      loop.after(delay, [waiter] { resume_soon(waiter); });
    }
    void await_resume() const {}
  };
  return Awaiter{loop, delay};
}

}  // namespace lade
