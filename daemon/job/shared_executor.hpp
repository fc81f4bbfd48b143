// One zygote for all builds of the daemon.
//
// An Executor belongs to one event loop and is forked before any thread exists, while every build
// of the daemon has a loop of its own, made later. So the daemon keeps one Executor on a thread of
// its own, and each build gets a stand-in that passes calls there and callbacks back.
// Should the zygote die, its steps fail, and the next one is started by another zygote.
#pragma once

#include <memory>

#include "solver/executor/executor.hpp"

namespace lade {

class ExecutorHost {
 public:
  /// Forks the zygote: before the process has any thread.
  explicit ExecutorHost(const ExecutorOptions& options);
  /// Kills what still runs. All stand-ins must be gone.
  ~ExecutorHost();
  ExecutorHost(const ExecutorHost&) = delete;
  ExecutorHost& operator=(const ExecutorHost&) = delete;

  /// Starts the thread; the first call is made once threads may exist. Thread-safe from then on.
  void start_thread();

  /// How many steps of all builds may run at once; 0: as many as want to. Before start_thread().
  void limit(int steps);

  /// Whether what a stand-in starts is one of those: what a client waits for by hand is not.
  enum class Counted { yes, no };

  /// A stand-in for one build, to be used (and destroyed) on one thread, which may attach() it to
  /// one loop after another. Descriptors of a spec are duplicated; what start() would throw comes
  /// as the result's setup_error. Beyond the limit a step starts when another has ended.
  std::unique_ptr<Executor> stand_in(Counted counted);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace lade
