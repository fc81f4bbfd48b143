#include "base/cpu_pool.hpp"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

namespace lade {
namespace {

tbb::task_arena& arena() {
  // No slot is reserved for the event loop's thread: it never computes.
  static tbb::task_arena instance(tbb::info::default_concurrency(), 0);
  return instance;
}

}  // namespace

void cpu_enqueue(std::function<void()> work) {
  arena().enqueue(std::move(work));
}

int cpu_count() {
  return tbb::info::default_concurrency();
}

}  // namespace lade
