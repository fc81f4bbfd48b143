// The small init that is PID 1 of a sandbox when it is asked for.
#pragma once

namespace lade::sandbox {

/// Forks. Returns in the child, which goes on to become the command, in a process group of its own
/// that has the terminal if there is one. The parent stays as PID 1: it reaps every process that
/// ends, passes signals on to the child, and ends as that did. `failure_fd` is the child's alone.
void become_init(int failure_fd);

}  // namespace lade::sandbox
