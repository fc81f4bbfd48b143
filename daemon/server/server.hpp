// The daemon as a whole: services behind sockets, until a signal ends it.
#pragma once

#include "daemon/job/shared_executor.hpp"
#include "daemon/server/options.hpp"

namespace lade {

/// Serves until SIGTERM or SIGINT; builds that run then are canceled. `executor` was made before
/// any thread. Returns the exit code; throws Error for what keeps it from starting.
int serve(const DaemonOptions& options, ExecutorHost& executor);

}  // namespace lade
