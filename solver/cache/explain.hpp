// Why the steps of a build hit the cache or missed it.
#pragma once

#include <string>
#include <vector>

#include "snapshotter/state.hpp"
#include "solver/cache/build_log.hpp"

namespace lade {

struct StepExplanation {
  const StepLog* step = nullptr;     ///< of the log that was explained
  std::vector<std::string> reasons;  ///< one fact per line; none for what needs no words
};

/// The step in one line of bearable length: "[build 2/4] RUN make (lines 3-5)".
std::string step_title(const StepLog& step);

/// Explains every step of `logs.last` that people see. A step that ran is compared with the latest
/// record of the same op, whose inputs must differ: which, and for what was copied file by file;
/// else with the step that stood in its place in the build before, whose op differs: in which
/// components. Steps of the log whose records are gone by now are explained as far as may be.
std::vector<StepExplanation> explain(StateDir& state, const KeptLogs& logs);

}  // namespace lade
