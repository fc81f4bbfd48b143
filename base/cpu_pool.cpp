#include "base/cpu_pool.hpp"

#include <memory>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include "base/hand_over.hpp"

namespace lade {
namespace {

tbb::task_arena& arena() {
  // No slot is reserved for the event loop's thread, which never computes; TBB counts it as one of
  // its own all the same, so it is allowed one more.
  static tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                   static_cast<size_t>(tbb::info::default_concurrency()) + 1);
  // Never destroyed: workers may still be in it while the process exits.
  static auto* instance = new tbb::task_arena(tbb::info::default_concurrency(), 0);
  return *instance;
}

}  // namespace

namespace {

struct Handed {
  std::function<void()> work;
  HandOver to;
};

struct RunHanded {
  Handed* handed;

  LADE_BEFORE_HAND_OVER void operator()() const { start(handed); }
  static void start(Handed* handed) {
    handed->to.take();
    const std::unique_ptr<Handed> own(handed);
    own->work();
  }
};

}  // namespace

void cpu_enqueue(std::function<void()> work) {
  auto* const handed = new Handed{std::move(work), {}};
  handed->to.give();
  arena().enqueue(RunHanded{handed});
}

}  // namespace lade
