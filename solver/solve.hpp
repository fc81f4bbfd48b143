// The solver: runs what a graph needs and is not cached, as parallel as the graph allows.
//
// Two questions are asked of a vertex. Its *key* (definition key) is made of its op and its inputs'
// keys; for a COPY from a local directory of what it selects there. It needs no layer data. A
// record under that key is a hit, and then nothing below it has to run. Its *result* is a ref: of
// the record, of a record of the same op whose inputs had the same content, or of running it. The
// vertex's key is then that record's, so that what builds on it finds its own records even though
// something further down changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/progress.hpp"
#include "snapshotter/state.hpp"
#include "solver/build_log.hpp"
#include "solver/cache_import.hpp"
#include "solver/definition.hpp"
#include "solver/executor/executor.hpp"
#include "solver/source/image.hpp"
#include "solver/source/local.hpp"
#include "solver/source/remote.hpp"

namespace lade {

struct SolveOptions {
  std::map<std::string, LocalSourceOptions> locals;  ///< by the name in "local://NAME"
  std::map<std::string, LocalScan> scans;            ///< those of `locals` that have begun
  bool rescans = false;  ///< a ChangedContext is no failure: all is tried again on new scans
  std::map<std::string, std::string> secrets;  ///< id -> value
  /// What HTTP and git sources ask with; shared by the runs of one build, so that they all see the
  /// same. Null: the run makes its own, with `secrets`.
  std::shared_ptr<RemoteSources> remotes;
  std::map<std::string, std::string> ssh;  ///< id -> path of an agent's socket
  int max_parallelism = 0;                 ///< running steps at once; 0: no limit
  bool keep_failed = false;                ///< what a failed step left is kept for failed_step()
  /// Called on a worker thread for each new layer while later steps run; says whether it is one of
  /// the result's.
  std::function<void(LayerId, bool)> on_layer;
  /// Caches of other machines, asked where the local one has nothing. May be null.
  std::shared_ptr<CacheImports> imports;
};

/// What a solved root is made of.
struct SolveResult {
  LayerStack layers;                   ///< bottom first
  std::map<LayerId, int64_t> created;  ///< when steps of this graph made layers: seconds since 1970
};

/// Of a build that failed because of one vertex.
struct SolveFailure {
  std::string vertex_name;
  SourceRange range;
  std::string log_tail;  ///< the last lines of a step's output
  uint32_t vertex = 0;
};

/// What a step that failed ran on, and how it left that.
struct FailedStep {
  uint32_t vertex = 0;
  std::vector<LayerStack> inputs;   ///< by the op's inputs
  std::vector<LayerStack> outputs;  ///< by its outputs
};

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
  class Run;
  std::unique_ptr<Run> run_;
};

}  // namespace lade
