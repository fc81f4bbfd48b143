// A container in the foreground: its streams are lade's, its end is lade's.
#pragma once

#include <memory>

#include "app/run/run_options.hpp"
#include "app/run/signal_relay.hpp"
#include "solver/executor/executor.hpp"

namespace lade {

/// Runs what was prepared to its end. Output goes to standard output and error, standard input to
/// the container if that was asked for, signals too. Returns the exit code: the command's own,
/// 128 + N if the signal N killed it, 125, 126 or 127 (after saying why) if it never ran. Throws
/// Error.
int run_in_foreground(std::unique_ptr<Executor> executor, ExecSpec spec, const RunRequest& request,
                      SignalRelay& signals);

}  // namespace lade
