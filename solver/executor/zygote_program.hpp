// A zygote for a process that has threads by now, and so cannot fork one off itself: the program is
// executed again, and becomes one before it does anything else.
#pragma once

#include <sys/types.h>

#include "solver/executor/child/exec_spec.hpp"
#include "solver/executor/child/protocol.hpp"

namespace lade::sandbox {

/// Starts it at its end of the socket; its pid. Throws Error.
pid_t execute_zygote(const Channel& end, const ExecutorOptions& options);

}  // namespace lade::sandbox
