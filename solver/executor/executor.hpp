// The sandbox: runs one step's process in namespaces of its own on a root filesystem that is
// mounted inside them, so that nothing is left behind on the host when the process ends.
//
// Lifecycle: Executor::create() forks the zygote, a small single-threaded process that makes every
// sandbox. It must be called before the process has any other thread or holds any lock (main does
// it first thing), since a child inherits both. Sandboxes are then started from the event loop's
// thread; their output and their end arrive as callbacks on it. When the Executor (or the whole
// process, however it dies) goes away, the zygote kills every sandbox that still runs and ends.
//
// The user's command is PID 1 of its sandbox: a step ends when that process ends; what it left
// running is killed by the kernel with the PID namespace, and output written until then is still
// delivered.
//
// Nothing of a sandbox has a name on the host: mounts exist in its own mount namespace only,
// ephemeral files on a tmpfs there, network slots as descriptors of the zygote. So there is nothing
// to tidy after a crash; the one exception are cgroups whose zygote itself was SIGKILLed: its
// Executor's end removes them, or the next zygote.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/progress.hpp"
#include "solver/executor/child/exec_spec.hpp"

namespace lade {

class EventLoop;

class Executor {
 public:
  using StepId = uint64_t;
  using OnOutput = std::function<void(LogStream, std::string_view)>;
  using OnExit = std::function<void(const ExecResult&)>;

  /// Forks the zygote. Throws Error.
  static std::unique_ptr<Executor> create(const ExecutorOptions& options);
  /// The same for a process that has threads by now, at the price of executing its program again:
  /// its main() begins with become_zygote_if_asked(). Throws Error.
  static std::unique_ptr<Executor> create_late(const ExecutorOptions& options);

  /// Kills what still runs, whose on_exit then never comes, and waits for the zygote's end. Destroy
  /// it before the event loop it is attached to, and not from one of its own callbacks.
  virtual ~Executor() = default;

  /// Tells which loop the callbacks run on, before the first start(); again for the same is fine.
  virtual void attach(EventLoop& loop) = 0;

  /// Gets a network slot ready in the background, so that the first step with NetworkMode::sandbox
  /// need not wait for it (some 15 ms). Never fails; a step that needs the slot reports what went
  /// wrong.
  virtual void prefetch_network() = 0;

  /// Starts a step. `on_output` gets raw bytes as they come; `on_exit` comes once, after the last
  /// of them. Throws Error only for what is wrong before a sandbox exists (no network helper, say).
  virtual StepId start(const ExecSpec& spec, OnOutput on_output, OnExit on_exit) = 0;

  /// The zygote has died. Nothing can be started any more; the on_exit of all steps have come, or
  /// come now, with a setup_error.
  virtual bool is_lost() const { return false; }

  /// SIGKILLs the step's PID 1; on_exit still comes. Unknown ids are ignored.
  virtual void kill(StepId step) = 0;

  /// Sends a signal to the step's PID 1, for whom only those count that it has handlers for.
  /// Unknown ids are ignored.
  virtual void signal(StepId step, int number) = 0;
};

/// See Executor::create_late(): does not return if this process is to be a zygote.
void become_zygote_if_asked(int argc, char** argv);

}  // namespace lade
