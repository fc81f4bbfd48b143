// One build of the daemon: from Control.Solve until its answer.
//
// A job has its own view of the state directory (and so holds what it uses as a command line's
// build does), its journal, and the results that its frontends have made so far. Several threads
// may use it at once: the one that answers Control.Solve, and those of the client's calls to the
// gateway.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "builder/attest/provenance.hpp"
#include "builder/image_export.hpp"
#include "daemon/job/caches.hpp"
#include "daemon/job/journal.hpp"
#include "daemon/job/shared_executor.hpp"
#include "daemon/job/source_policy.hpp"
#include "daemon/session/early_listing.hpp"
#include "daemon/session/sessions.hpp"
#include "snapshotter/state.hpp"
#include "solver/cache/cache_import.hpp"
#include "solver/solve.hpp"
#include "solver/source/image.hpp"
#include "solver/source/remote_sources.hpp"

namespace lade {

/// What all jobs share.
struct DaemonShared {
  std::string root;  ///< the state directory
  ExecutorHost& executor;
  Sessions& sessions;
  RegistryOptions registries{};          ///< of buildkitd.toml
  std::set<std::string> entitlements{};  ///< that builds may be given
  bool local_images = false;             ///< names of this machine's store win over registries
  int max_parallelism = 0;               ///< steps at once, of all builds; 0: no limit
  std::string provenance_environment{};  ///< ProvenanceFacts'
};

/// A directory of the client's that a graph reads, by the name in "local://NAME".
struct LocalDirectory {
  DirectoryRequest request;
  std::string shared_key;
  std::string session{};  ///< of another session than the build's; empty: the build's
  bool all_new = false;   ///< what came earlier is not compared with: everything crosses
  std::string what;       ///< for messages: "the build context"
  std::vector<std::string> ignore_patterns;
  std::string ignore_file;
  std::vector<int> ignore_lines;

  /// What two requests for the same files have in common.
  std::string identity() const;
};

/// A result that may not have been made yet.
struct JobRef {
  std::string id;
  Definition definition;
  Edge root;
  std::optional<LoweredImage> image;  ///< of a Dockerfile; its definition is in `definition`
  std::map<std::string, LocalDirectory> locals;
  std::map<std::string, LocalSourceOptions> extra_locals;  ///< directories of this machine
  std::vector<std::shared_ptr<void>> keep;                 ///< what those directories belong to
  std::optional<SolveResult> solved;                       ///< guarded by the job
  std::optional<ProvenanceRequest> request;                ///< to the frontend that made it
  bool reads_dockerfile = false;                           ///< from a directory of the client's

  /// Another result of the same directories, without an ID.
  JobRef sibling(Definition graph, Edge other_root) const;
  /// What the scanner of its SBOM says, if one is wanted.
  std::shared_ptr<JobRef> scan{};
};

/// The result of the build that a client names by its ID; null if it is not known any more.
using FindResult = std::function<std::shared_ptr<JobRef>(const std::string& id)>;

/// What a frontend (or a client that acts as one) gives.
struct FrontendResult {
  /// By platform as "refs.platforms" has it; "" if there is one without. A null ref is an empty
  /// result.
  std::vector<std::pair<std::string, std::shared_ptr<JobRef>>> refs;
  bool multi_platform = false;
  std::map<std::string, std::string> metadata;
};

class Job {
 public:
  Job(DaemonShared& shared, std::string id, std::shared_ptr<SessionCalls> session,
      std::shared_ptr<Journal> journal);
  ~Job();

  const std::string& id() const { return id_; }
  DaemonShared& shared() { return shared_; }
  Journal& journal() { return *journal_; }
  StateDir& state() { return *state_; }
  ImageSources& images() { return *images_; }
  RegistryOptions registries() const;

  bool has_session() const { return session_ != nullptr; }
  /// Throws Error if the client opened none.
  SessionCalls& session();
  /// The build's own for "", else another one that is open. Throws Error.
  SessionCalls& session(const std::string& id);
  /// Empty if the client opened none.
  std::string session_id() const { return session_ ? session_->id() : ""; }

  /// Ends the job soon: calls to the client, transfers and steps.
  void cancel();
  bool canceled() const { return canceled_; }
  void check_canceled() const;

  /// What the client allows this build.
  std::set<std::string> entitlements;
  /// Which sources it may use. Set before anything is solved.
  SourcePolicies policies;

  /// A socket behind which the client's ssh-agent of that name answers; empty if there is none.
  std::string agent_socket(const std::string& id);

  // -- results
  std::shared_ptr<JobRef> add_ref(JobRef ref);
  /// Null if there is none.
  std::shared_ptr<JobRef> find_ref(const std::string& id);

  /// Asks the client for a directory as the last build with it did, before this one knows what it
  /// reads of it. Of `local` its name, session and shared key matter.
  void list_early(const LocalDirectory& local);

  /// Called for layers while later steps run, as SolveOptions::on_layer.
  using OnLayer = std::function<void(LayerId, bool)>;
  /// Solves them side by side, unless they are; the client's directories are brought here first.
  /// Throws StepError for a step that failed after keep_failed_steps().
  void evaluate(const std::vector<std::shared_ptr<JobRef>>& refs, const OnLayer& on_layer = {});
  /// After LostLayer: what the cache promised is made here by the next evaluate(). False if that
  /// does not help.
  bool distrust(const LostLayer& lost);
  /// The layers of one.
  LayerStack layers(const std::shared_ptr<JobRef>& ref);

  // -- caches
  void add_cache_import(const CacheEntry& entry);
  /// Opens them when they are first needed; null if there are none.
  std::shared_ptr<CacheImports> cache_imports();
  /// A client is there that may want to look into what a failed step left.
  void keep_failed_steps() { keep_failed_ = true; }
  /// What evaluate() is to remember for exports of the cache.
  void want_records() { want_records_ = true; }
  std::vector<SharedRecord> records();
  std::vector<SharedMount> mounts();  ///< cache mounts of the steps of those records

  LayerProvider provider();

  /// What the remote sources of all that was solved were found to be.
  std::map<SourceOp, std::string> pins();

 private:
  struct Running {
    EventLoop* loop;
    Solver* solver;
  };
  void evaluate_once(const std::vector<std::shared_ptr<JobRef>>& refs, const OnLayer& on_layer);
  std::vector<std::shared_ptr<JobRef>> unsolved(const std::vector<std::shared_ptr<JobRef>>& refs);
  /// The clients' directories that the graph reads.
  void bring_locals(const Definition& graph, const std::vector<std::shared_ptr<JobRef>>& refs,
                    JournalProgress& progress, std::map<std::string, LocalSourceOptions>& locals);
  std::vector<SolveResult> run(Solver& solver, EventLoop& loop, const Definition& graph,
                               const std::vector<Edge>& roots);
  void sync(const std::string& name, const LocalDirectory& local, const std::string& vertex,
            LocalSourceOptions& out);
  std::string contexts() const;
  std::string directory_key(const LocalDirectory& local);
  SolveOptions solve_options(const Definition& graph);
  void find_secrets(const Definition& graph, SolveOptions& options);

  DaemonShared& shared_;
  std::string id_;
  std::shared_ptr<SessionCalls> session_;
  std::shared_ptr<Journal> journal_;
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<ImageSources> images_;
  std::atomic<bool> canceled_{false};
  std::atomic<bool> want_records_{false};
  std::atomic<bool> keep_failed_{false};

  std::mutex mutex_;  // guards what is below
  std::map<std::string, std::shared_ptr<JobRef>> refs_;
  std::set<Running*> running_;
  std::map<std::string, std::shared_ptr<SessionCalls>> other_sessions_;
  std::vector<CacheEntry> import_entries_;
  std::shared_ptr<CacheImports> imports_;
  std::vector<SharedRecord> records_;
  std::vector<SharedMount> mounts_;
  std::map<SourceOp, std::string> pins_;
  class Agents;
  std::unique_ptr<Agents> agents_;
  struct Synced;
  std::mutex sync_mutex_;  // of bringing directories here
  std::map<std::string, std::shared_ptr<Synced>> synced_;
  EarlyListings early_;
};

}  // namespace lade
