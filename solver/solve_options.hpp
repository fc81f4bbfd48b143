// What a solve is told, and what comes of it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/progress.hpp"
#include "snapshotter/state.hpp"
#include "solver/cache/build_log.hpp"
#include "solver/cache/cache_import.hpp"
#include "solver/executor/executor.hpp"
#include "solver/graph/definition.hpp"
#include "solver/source/image.hpp"
#include "solver/source/local.hpp"
#include "solver/source/remote_sources.hpp"

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

}  // namespace lade
