// The solver: runs what a graph needs and is not cached, as parallel as the graph allows.
//
// Two questions are asked of a vertex. Its *key* (definition key) is made of its op and its inputs'
// keys; for a COPY from a local directory of what it selects there. It needs no layer data. A
// record under that key is a hit, and then nothing below it has to run. Its *result* is a ref: of
// the record, of a record of the same op whose inputs had the same content, or of running it. The
// vertex's key is then that record's, so that what builds on it finds its own records even though
// something further down changed.
#pragma once

#include <memory>
#include <vector>

#include "base/event_loop.hpp"
#include "base/progress.hpp"
#include "solver/solve_options.hpp"

namespace lade {

class SolveRun;

/// One build. Create, run and destroy on the event loop's thread.
class Solver {
 public:
  /// `executor` may be null if the graph has no exec ops.
  Solver(StateDir& state, EventLoop& loop, Executor* executor, ImageSources& images,
         ProgressSink& progress, SolveOptions options);
  ~Solver();

  /// Runs the loop until `root` is there or the build failed, and everything it started has ended.
  /// Throws the first Error, or Error(canceled); LostLayer if an imported cache did not keep its
  /// word (then `imports` are to be told, and the build tried again); ChangedContext.
  SolveResult solve(const Definition& definition, Edge root);
  /// The same for several roots side by side: one result each, in their order.
  std::vector<SolveResult> solve(const Definition& definition, const std::vector<Edge>& roots);

  /// Ends the build soon: running steps are killed. From the loop's thread.
  void cancel();

  /// After solve() returned: what its vertices are to other machines, in topological order. Hashes
  /// contents that nobody asked for so far.
  std::vector<SharedRecord> shared_records() const;

  /// After solve() returned: the cache mounts of its steps, sorted; without those that lie over an
  /// image or a stage (from=), which are nothing without that.
  std::vector<SharedMount> shared_mounts() const;

  /// After solve() returned or threw: what happened to each vertex.
  std::vector<StepLog> steps() const;

  /// After solve() threw: what failed, if it was a vertex.
  const SolveFailure* failure() const;

  /// The same, if it was a step and SolveOptions::keep_failed.
  const FailedStep* failed_step() const;

 private:
  std::unique_ptr<SolveRun> run_;
};

}  // namespace lade
