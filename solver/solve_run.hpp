// Inside of the solver: one run over one graph. Included by this folder only.
#pragma once

#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/task.hpp"
#include "snapshotter/cache_mount.hpp"
#include "snapshotter/layers/layer_set.hpp"
#include "solver/cache/cache_store.hpp"
#include "solver/ops/exec_op.hpp"
#include "solver/ops/file_op.hpp"
#include "solver/solve_options.hpp"

namespace lade {

/// The result of a vertex: a stack of layers, or a local directory.
struct Ref {
  LayerStack layers;
  std::shared_ptr<const Tree> local;
  std::vector<LayerStack> more{};  ///< the vertex's outputs after the first
  /// The record's key, where that is not what dependents took for the vertex's: a cache's word was
  /// taken for the result in the meantime. empty() otherwise.
  Digest bond{};

  const LayerStack& output(uint32_t number) const {
    return number == 0 ? layers : more.at(number - 1);
  }
};

/// Stands for output `number` of what `digest` (a key or an op) stands for.
Digest output_digest(const Digest& digest, uint32_t number);

/// Whether the op reads this input as a whole, so that its content is its chain of layers.
bool reads_whole(const Vertex& vertex, size_t input);

/// What is known of a vertex before it runs.
///
/// Of the three keys `own` has nothing in it that a cache said: what this machine has made of what
/// it knows is recorded under such keys, and serves every build. `key` is the same until a cache's
/// word is taken for an input. From there on it is made of the names of what was said, so that
/// records which are founded on that are found by those builds alone that have read it, too.
struct VertexKey {
  Digest op;
  Digest own;
  Digest key;         ///< definition key, or that of the record it led to
  Digest definition;  ///< definition key, whatever records there are: for other machines
  std::set<std::string> origins{};   ///< of the caches whose word is in `key` or the hit
  std::vector<Digest> input_keys{};  ///< what `key` was made of: by input, empty() for local ones
  Digest selection{};                ///< and this: what is read of local inputs
  std::vector<Digest> claims{};      ///< what else the result is founded on: CacheRecord's
  bool is_bound = false;             ///< `key` is not what dependents have taken for it: bind()
  std::optional<Ref> hit{};          ///< the record's result
  /// The vertex, or one it is made from, runs whatever is cached (--no-cache-filter): only contents
  /// can say whether a record still holds.
  bool forced = false;
  std::vector<RecordInput>
      inputs;  ///< selections of local inputs, filled in before the others are known
};

class SolveRun {
 public:
  SolveRun(StateDir& state, EventLoop& loop, Executor* executor, ImageSources& images,
           ProgressSink& progress, SolveOptions options);

  std::vector<SolveResult> solve(const Definition& definition, const std::vector<Edge>& roots);
  void cancel();
  std::vector<SharedRecord> shared_records();
  std::vector<SharedMount> shared_mounts() const;
  std::vector<StepLog> steps() const;
  std::optional<SolveFailure> failure;
  std::map<uint32_t, FailedStep> failed_steps;

 private:
  struct VertexState {
    Task<VertexKey> key;
    Task<Ref> result;
    bool announced = false;                // progress was told cached/started
    bool is_read = false;                  // a directory's end of reading was told
    bool waited = false;                   // ...started, though it is another build that ran it
    Digest op;                             // once its key was asked for
    Digest record;                         // the key of the record that holds the result
    std::set<std::string> origins;         // of the caches whose word is in that
    std::map<Digest, std::string> mounts;  // restored ones that it ran with, and whose they are
    StepOutcome outcome = StepOutcome::unneeded;
  };

  // Keys (solve_key.cpp; what concerns caches: solve_import.cpp)
  Task<VertexKey> key(uint32_t vertex) const { return states_.at(vertex).key; }
  Task<VertexKey> compute_key(uint32_t vertex);
  Task<std::shared_ptr<const Tree>> local_tree(std::string name);
  Task<std::shared_ptr<const Tree>> scan_local_tree(std::string name);
  void watch_reading(uint32_t vertex, const Tree& tree);
  void tell_read(uint32_t vertex);
  Task<Digest> select_locals(const Vertex& vertex, Digest op, const InputTrees& trees);
  VertexKey image_key(const SourceOp& op);
  Task<VertexKey> remote_key(uint32_t vertex);
  bool look_up(uint32_t vertex, VertexKey& key);
  bool look_up_record(uint32_t vertex, const Digest& name, VertexKey& key);
  Task<bool> look_up_imports(uint32_t vertex, VertexKey& key);
  bool take_import(uint32_t vertex, VertexKey& key);
  static void bind(VertexKey& key, const std::vector<Ref>& inputs);
  void put_import(uint32_t vertex, CacheRecord& record);
  /// Those of the layers that are known by a cache's word, and whether this build has read one that
  /// gives it. Thread-safe.
  LayerStack claimed(const LayerStack& layers);
  bool is_vouched_for(LayerId layer) const;
  /// The caches whose word is needed for some of the layers.
  std::set<std::string> origins_of(const LayerStack& layers);
  /// Whether it is no cache's word, or that of one that this build has read.
  bool is_vouched_for(const CacheRecord& record) const;
  void take_record(uint32_t vertex, const CacheRecord& record, StepOutcome outcome,
                   std::set<std::string> origins);
  /// Whether the bytes of all layers are here or promised by somebody whom this build asks, and
  /// those that a cache's word is needed for are named by one that it has read. Thread-safe.
  bool obtainable(const LayerStack& layers);
  bool is_obtainable(LayerId layer);
  /// The record's result with all the vertex's outputs; nullopt if one is not (fully) here.
  std::optional<Ref> result_of(uint32_t vertex, const CacheRecord& record);
  Task<void> load_imports();
  Digest chain_content(const LayerStack& layers);

  // Contents (solve_content.cpp)
  Task<std::optional<Ref>> take_same_content(uint32_t vertex, VertexKey key,
                                             std::vector<Ref> inputs);
  Task<std::optional<CacheRecord>> find_same_content(uint32_t vertex, Digest op,
                                                     std::vector<RecordInput> inputs,
                                                     std::vector<Ref> refs);
  Task<std::optional<CacheRecord>> find_imported_content(uint32_t vertex, VertexKey key,
                                                         std::vector<Ref> refs);
  static Digest input_selection(const Vertex& vertex, size_t input,
                                std::shared_ptr<const Tree> tree);

  // Results (solve.cpp)
  Task<Ref> result(uint32_t vertex) const { return states_.at(vertex).result; }
  Task<Ref> compute_result(uint32_t vertex);
  Task<Ref> source_result(uint32_t vertex);
  Task<std::vector<Ref>> input_results(uint32_t vertex);
  Task<Ref> run_or_wait(uint32_t vertex, VertexKey key, std::vector<Ref> inputs);
  Task<Ref> run_vertex(uint32_t vertex, VertexKey key, std::vector<Ref> inputs);
  Task<Ref> run_op(uint32_t vertex, const std::vector<Ref>& inputs,
                   std::vector<RecordInput>& record);
  std::optional<LayerId> earlier_result(const Digest& op);
  Task<LayerStack> run_file(uint32_t vertex, const FileOp& op, const std::vector<Ref>& inputs,
                            std::vector<RecordInput>& record);
  void bind_to_mounts(uint32_t vertex, VertexKey& key);
  void record(uint32_t vertex, const VertexKey& key, std::vector<RecordInput> inputs,
              const Ref& result);
  SharedRecord shared_record(uint32_t vertex, const CacheRecord& found);
  void tell_layers(uint32_t vertex, const Ref& result);

  // What comes from elsewhere (solve_fetch.cpp)
  Task<LayerId> run_remote(uint32_t vertex, SourceOp op);
  TransferProgress transfer_progress(uint32_t vertex);
  RemoteSources& remotes();
  Task<void> ensure_directories(LayerStack layers);
  Task<void> fetch_layer(LayerId layer, LayerStack below);
  void unpack_layer(LayerId layer, const LayerStack& below,
                    const std::function<void(uint64_t, uint64_t)>& progress);
  std::shared_ptr<BlobProvider> source_of(LayerId layer);

  // Steps (solve_exec.cpp)
  /// For the SolveOptions that want it.
  Task<void> keep_failed(uint32_t vertex, const ExecOp& op, PreparedExec& prepared,
                         const std::vector<LayerStack>& inputs);
  Task<std::vector<LayerStack>> run_exec(uint32_t vertex, const ExecOp& op,
                                         std::vector<LayerStack> inputs);
  std::vector<LayerStack> commit_outputs(const ExecOp& op, PreparedExec& prepared,
                                         const std::vector<LayerStack>& inputs);
  /// `timed_out`: it was killed since it ran for longer than it may.
  struct Attempt {
    ExecResult result;
    bool timed_out = false;
  };
  Task<Attempt> run_process(uint32_t vertex, const ExecSpec& spec,
                            std::chrono::nanoseconds timeout);
  /// What to tell of a failed attempt.
  Error attempt_error(uint32_t vertex, const ExecOp& op, const Attempt& attempt) const;
  /// Notes the cache mounts of steps that are to run whatever is cached: they begin empty.
  void find_stale_caches();
  Task<void> empty_cache(Digest name);
  Task<Digest> find_cache(uint32_t vertex, ExecMount mount, Digest name);
  Task<void> restore_cache(uint32_t vertex, std::string id, CacheImports::Mount shared,
                           CacheMountDirectory directory);
  Task<std::shared_ptr<std::vector<CacheMount>>> lease_caches(uint32_t vertex, const ExecOp& op,
                                                              const std::vector<LayerStack>& inputs,
                                                              std::map<size_t, std::string>& paths);
  Task<void> keep_private(const std::vector<LayerStack>& inputs);
  void keep_log(uint32_t vertex, std::string_view bytes);

  void announce_cached(uint32_t vertex);
  void announce_started(uint32_t vertex);
  void flush_cached();
  std::exception_ptr try_again(const Error& error) const;
  void fail(uint32_t vertex, const Error& error);
  void check_canceled() const;
  /// Adds the outputs that what an edge gives has its layers from.
  void mark_chain(Edge root, std::set<Edge>& chain) const;
  void mark_mounted();
  static VertexNumber number(uint32_t vertex) { return vertex + 1; }
  const Vertex& vertex_at(uint32_t vertex) const { return definition_->vertices[vertex]; }

  StateDir& state_;
  EventLoop& loop_;
  Executor* executor_;
  ImageSources& images_;
  ProgressSink& progress_;
  SolveOptions options_;
  CacheStore cache_;
  const Definition* definition_ = nullptr;
  std::vector<VertexState> states_;
  Task<void> imports_;         // done once the imported caches can be asked
  std::set<Edge> root_chain_;  // outputs whose new layers are the result's
  std::set<Edge> mounted_;     // outputs whose new layers steps are to see
  std::unordered_map<std::string, Task<std::shared_ptr<const Tree>>> locals_;
  std::unordered_map<LayerId, Task<void>> fetches_;
  std::mutex obtainable_mutex_;
  LayerSet obtainable_;                                 // guarded by obtainable_mutex_
  LayerSet unclaimed_;                                  // likewise: these need no cache's word
  std::unordered_map<LayerId, uint32_t> image_vertex_;  // which FROM a layer belongs to
  std::set<Executor::StepId> running_;
  std::set<std::string> stale_caches_;  // ids of cache mounts that are to be emptied once
  std::set<Digest> emptied_mounts_;     // names of those of them that have been
  std::set<Digest> used_mounts_;        // names of cache mounts that steps ran with
  std::unordered_map<uint32_t, std::string> logs_;
  std::map<LayerId, int64_t> created_;
  std::deque<std::coroutine_handle<>> waiting_for_slot_;
  std::vector<uint32_t> cached_;  // not told yet
  bool a_step_started_ = false;
  int free_slots_ = 0;
  int background_ = 0;  // on_layer calls under way
  bool canceled_ = false;
  std::exception_ptr first_error_;
};

}  // namespace lade
