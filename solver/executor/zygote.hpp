// The zygote: a small single-threaded process that makes every sandbox.
//
// It is forked before lade has threads or much memory, so that making a sandbox costs the copy of a
// small process. It ends when its socket does, which is when lade ends, however that happens: then
// it kills all sandboxes and network helpers and waits for their end.
#pragma once

#include "solver/executor/child/protocol.hpp"

namespace lade::sandbox {

/// What it exits with: 0 if nothing is left of it.
enum class ZygoteExit : int {
  failed = 1,
  left_group = 2,  ///< a cgroup to be swept (sweep_groups())
};

/// The zygote's life, in the forked process.
[[noreturn]] void run_zygote(Channel channel, const ExecutorOptions& options) noexcept;

}  // namespace lade::sandbox
