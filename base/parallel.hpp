// oneTBB's loops and groups of tasks, with hand-overs that ThreadSanitizer sees.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>

#include "base/hand_over.hpp"

namespace lade {
namespace detail {

/// Gives back what a body did, also when it throws.
class GivesBack {
 public:
  explicit GivesBack(const HandOver& to) : to_(to) {}
  ~GivesBack() { to_.give(); }
  GivesBack(const GivesBack&) = delete;
  GivesBack& operator=(const GivesBack&) = delete;

 private:
  const HandOver& to_;
};

class TakesBack {
 public:
  explicit TakesBack(const HandOver& from) : from_(from) {}
  ~TakesBack() { from_.take(); }
  TakesBack(const TakesBack&) = delete;
  TakesBack& operator=(const TakesBack&) = delete;

 private:
  const HandOver& from_;
};

template <class Body>
struct LoopBody {
  const Body* body;
  const HandOver* to;
  const HandOver* back;

  LADE_BEFORE_HAND_OVER void operator()(size_t i) const { run(*body, *to, *back, i); }
  static void run(const Body& body, const HandOver& to, const HandOver& back, size_t i) {
    to.take();
    const GivesBack gives(back);
    body(i);
  }
};

}  // namespace detail

/// `body(i)` for each i of [begin, end), on oneTBB's workers and this thread. Throws what one
/// threw.
template <class Body>
void parallel_for(size_t begin, size_t end, const Body& body) {
  const HandOver to;
  const HandOver back;
  const detail::TakesBack takes(back);
  to.give();
  tbb::parallel_for(begin, end, detail::LoopBody<Body>{&body, &to, &back});
}

/// Tasks that may start others. For one run_and_wait() at a time.
class TaskGroup {
 public:
  /// From a task.
  template <class Body>
  void run(Body body) {
    auto* const own = new Owned<Body>(std::move(body));
    own->to.give();
    tasks_.run(Runner<Body>{own, &back_});
  }

  template <class Body>
  void run_and_wait(Body body) {
    const detail::TakesBack takes(back_);
    tasks_.run_and_wait(body);
  }

 private:
  template <class Body>
  struct Owned {
    explicit Owned(Body given) : body(std::move(given)) {}
    Body body;
    HandOver to;
  };
  template <class Body>
  struct Runner {
    Owned<Body>* owned;
    const HandOver* back;

    LADE_BEFORE_HAND_OVER void operator()() const { start(owned, back); }
    static void start(Owned<Body>* owned, const HandOver* back) {
      owned->to.take();
      const detail::GivesBack gives(*back);
      const std::unique_ptr<Owned<Body>> own(owned);
      own->body();
    }
  };

  tbb::task_group tasks_;
  HandOver back_;
};

}  // namespace lade
