// Results: look up, wait or run, record.
#include "solver/solve.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/wire.hpp"
#include "solver/cache/step_lock.hpp"
#include "solver/ops/diff_op.hpp"
#include "solver/ops/revealing_xattrs.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

constexpr auto kFirstPoll = std::chrono::milliseconds(5);
constexpr auto kLastPoll = std::chrono::milliseconds(50);

Error canceled_error() {
  return Error("canceled", ErrorKind::canceled);
}

/// The result that the record `record` has, of a vertex whose key was bound to what its inputs
/// turned out to be.
Ref bound(Ref result, const Digest& record, const VertexKey& key) {
  if (key.is_bound) result.bond = record;
  return result;
}

}  // namespace

SolveRun::SolveRun(StateDir& state, EventLoop& loop, Executor* executor, ImageSources& images,
                   ProgressSink& progress, SolveOptions options)
    : state_(state),
      loop_(loop),
      executor_(executor),
      images_(images),
      progress_(progress),
      options_(std::move(options)),
      cache_(state.database()),
      free_slots_(options_.max_parallelism) {
  if (executor_) executor_->attach(loop_);
}

std::vector<SolveResult> SolveRun::solve(const Definition& definition,
                                         const std::vector<Edge>& roots) {
  definition_ = &definition;
  states_.resize(definition.vertices.size());
  for (const Edge& root : roots) mark_chain(root, root_chain_);
  mark_mounted();
  find_stale_caches();
  for (uint32_t i = 0; i < states_.size(); ++i) {
    if (!vertex_at(i).name.empty()) progress_.declared(number(i), vertex_at(i).name);
    states_[i].key = compute_key(i);
    states_[i].result = compute_result(i);
  }
  if (options_.imports) {
    imports_ = load_imports();
    imports_.start();
  }
  // Keys are made one input after the other; remotes are asked all at once.
  for (uint32_t i = 0; i < states_.size(); ++i) {
    const auto* source = std::get_if<SourceOp>(&vertex_at(i).op);
    if (source && RemoteSources::handles(*source)) states_[i].key.start();
  }
  std::vector<Task<Ref>> wanted;
  for (const Edge& root : roots) wanted.push_back(states_[root.vertex].result);
  for (const auto& task : wanted) task.start();
  // What a failed build started still has to end before its state may go.
  loop_.run_until([&] {
    if (background_ > 0 || imports_.running()) return false;
    for (const auto& task : wanted) {
      if (!task.done()) return false;
    }
    for (const auto& state : states_) {
      if (state.key.running() || state.result.running()) return false;
    }
    for (const auto& [name, task] : locals_) {
      if (task.running()) return false;
    }
    for (const auto& [layer, task] : fetches_) {
      if (task.running()) return false;
    }
    return true;
  });
  if (first_error_) std::rethrow_exception(first_error_);
  std::vector<SolveResult> solved;
  for (size_t i = 0; i < wanted.size(); ++i) {
    solved.push_back({wanted[i].get().output(roots[i].output), created_});
  }
  // Images of which nothing was needed were there, as far as this build is concerned.
  for (uint32_t i = 0; i < states_.size(); ++i) {
    const auto* source = std::get_if<SourceOp>(&vertex_at(i).op);
    if (source && source->identifier.find("image://") != std::string::npos) announce_cached(i);
  }
  flush_cached();
  return solved;
}

void SolveRun::mark_chain(Edge root, std::set<Edge>& chain) const {
  std::vector<Edge> todo{root};
  while (!todo.empty()) {
    const Edge edge = todo.back();
    todo.pop_back();
    if (!chain.insert(edge).second) continue;
    const Vertex& v = vertex_at(edge.vertex);
    const auto* exec = std::get_if<ExecOp>(&v.op);
    for (size_t i = 0; i < v.inputs.size(); ++i) {
      // Layers of the result are those of the first input, of the mount that is this output, of all
      // of a merge's, and of a difference's upper one.
      const bool taken = std::holds_alternative<MergeOp>(v.op) ||
                         i == (std::holds_alternative<DiffOp>(v.op) ? 1 : 0);
      const bool own = exec && edge.output > 0 &&
                       std::any_of(exec->mounts.begin(), exec->mounts.end(), [&](const auto& m) {
                         return m.output == edge.output && m.input == i;
                       });
      if (exec && edge.output > 0 ? own : taken) todo.push_back(v.inputs[i]);
    }
  }
}

void SolveRun::mark_mounted() {
  for (const Vertex& vertex : definition_->vertices) {
    if (!std::holds_alternative<ExecOp>(vertex.op)) continue;
    for (const Edge& input : vertex.inputs) mark_chain(input, mounted_);
  }
}

Task<Ref> SolveRun::compute_result(uint32_t vertex) {
  const auto* source = std::get_if<SourceOp>(&vertex_at(vertex).op);
  const bool remote = source && RemoteSources::handles(*source);
  if (source && !remote) co_return co_await source_result(vertex);
  // What went wrong further down was reported there.
  bool own_failure = false;
  try {
    check_canceled();
    VertexKey key = co_await this->key(vertex);
    if (key.hit) co_return *key.hit;
    std::vector<Ref> inputs = co_await input_results(vertex);
    own_failure = true;
    check_canceled();
    // A remote source's key is of its content: there is nothing else to compare.
    if (remote) co_return co_await run_or_wait(vertex, std::move(key), std::move(inputs));
    for (const Edge& input : vertex_at(vertex).inputs) {
      key.origins.merge(std::set(states_[input.vertex].origins));
    }
    bind(key, inputs);
    if (!vertex_at(vertex).ignore_cache) {
      if (auto known = co_await take_same_content(vertex, key, inputs)) co_return *known;
    }
    co_return co_await run_or_wait(vertex, std::move(key), std::move(inputs));
  } catch (const Error& error) {
    if (own_failure) fail(vertex, error);
    throw;
  }
}

Task<Ref> SolveRun::source_result(uint32_t vertex) {
  const auto& op = std::get<SourceOp>(vertex_at(vertex).op);
  try {
    if (op.identifier == "scratch") co_return Ref{};
    if (op.identifier.starts_with(kLocalScheme)) {
      announce_started(vertex);
      auto tree = co_await local_tree(op.identifier.substr(kLocalScheme.size()));
      tell_read(vertex);
      co_return Ref{{}, std::move(tree)};
    }
    Ref ref{images_.resolved(op.identifier).layers, nullptr};
    state_.layers().note_used(ref.layers);
    for (const LayerId layer : ref.layers) image_vertex_.emplace(layer, vertex);
    if (state_.layers().without_directory(ref.layers).empty()) announce_cached(vertex);
    co_return ref;
  } catch (const Error& error) {
    fail(vertex, error);
    throw;
  }
}

Task<std::vector<Ref>> SolveRun::input_results(uint32_t vertex) {
  const auto& inputs = vertex_at(vertex).inputs;
  for (const auto& input : inputs) states_[input.vertex].result.start();
  std::vector<Ref> refs;
  for (const auto& input : inputs) {
    Ref ref = co_await result(input.vertex);
    if (input.output > 0) {
      const Digest bond = ref.bond.empty() ? Digest() : output_digest(ref.bond, input.output);
      ref = Ref{.layers = ref.output(input.output), .local = nullptr, .more = {}, .bond = bond};
    }
    refs.push_back(std::move(ref));
  }
  co_return refs;
}

Task<Ref> SolveRun::run_or_wait(uint32_t vertex, VertexKey key, std::vector<Ref> inputs) {
  if (key.forced) co_return co_await run_vertex(vertex, key, inputs);
  StepLock lock(state_.locks(), key.key);
  auto pause = kFirstPoll;
  bool told = false;
  for (;;) {
    const auto attempt = lock.try_acquire();
    check_canceled();
    // Whoever had the lock before us may have recorded what we want.
    VertexKey again = key;
    if (attempt != StepLock::Attempt::busy && look_up(vertex, again)) {
      lock.succeed();
      announce_cached(vertex);
      co_return bound(*again.hit, again.key, key);
    }
    if (attempt == StepLock::Attempt::owned) break;
    if (attempt == StepLock::Attempt::finished) continue;
    if (!told) {
      announce_started(vertex);
      states_[vertex].waited = true;
      progress_.status(number(vertex), "waiting for another build that runs this step", 0, 0);
      told = true;
    }
    co_await sleep_for(loop_, pause);
    pause = std::min(pause * 2, kLastPoll);
  }
  try {
    Ref ref = co_await run_vertex(vertex, key, inputs);
    lock.succeed();
    co_return ref;
  } catch (const Error& error) {
    // A build that is canceled, or that tries again without a layer, leaves the step to whoever
    // waits; a failed step fails for all.
    const bool failed = error.kind() != ErrorKind::canceled && !canceled_ && !try_again(error);
    if (failed) lock.fail(error.message());
    throw;
  }
}

Task<Ref> SolveRun::run_vertex(uint32_t vertex, VertexKey key, std::vector<Ref> inputs) {
  std::vector<RecordInput> record_inputs = key.inputs;
  announce_started(vertex);
  Ref result = co_await run_op(vertex, inputs, record_inputs);
  const Digest asked = key.key;
  bind_to_mounts(vertex, key);
  record(vertex, key, std::move(record_inputs), result);
  // Builds that read the same find it.
  cache_.alias(asked, key.key);
  result = bound(std::move(result), key.key, key);
  progress_.completed(number(vertex));
  if (options_.on_layer) tell_layers(vertex, result);
  co_return result;
}

void SolveRun::tell_layers(uint32_t vertex, const Ref& result) {
  const Op& op = vertex_at(vertex).op;
  if (std::holds_alternative<MergeOp>(op)) return;  // makes none of its own
  for (uint32_t output = 0; output < output_count(op); ++output) {
    const LayerStack& layers = result.output(output);
    if (layers.empty()) continue;
    ++background_;
    const bool of_result = root_chain_.contains({vertex, output});
    cpu_enqueue([this, layer = layers.back(), of_result] {
      // A failure here is found again, and reported, when the export asks for the layer's blob.
      try {
        options_.on_layer(layer, of_result);
      } catch (const std::exception&) {
      }
      loop_.post([this] { --background_; });
    });
  }
}

Task<Ref> SolveRun::run_op(uint32_t vertex, const std::vector<Ref>& inputs,
                           std::vector<RecordInput>& record) {
  const Vertex& v = vertex_at(vertex);
  for (size_t i = 0; i < inputs.size(); ++i) record[i].layers = inputs[i].layers;
  Ref result;
  if (const auto* source = std::get_if<SourceOp>(&v.op)) {
    result.layers.push_back(co_await run_remote(vertex, *source));
    co_return result;
  }
  if (std::holds_alternative<MergeOp>(v.op)) {
    for (const auto& input : inputs) {
      result.layers.insert(result.layers.end(), input.layers.begin(), input.layers.end());
    }
    co_return result;
  }
  if (std::holds_alternative<DiffOp>(v.op)) {
    if (auto above = layers_above(inputs[0].layers, inputs[1].layers)) {
      result.layers = std::move(*above);
      co_return result;
    }
  }
  for (const auto& input : inputs) co_await ensure_directories(input.layers);
  check_canceled();
  if (std::holds_alternative<DiffOp>(v.op)) {
    auto work = [&] { return diff_stacks(state_.layers(), inputs[0].layers, inputs[1].layers); };
    result.layers.push_back(co_await on_cpu(loop_, work));
  } else if (const auto* file = std::get_if<FileOp>(&v.op)) {
    result.layers = co_await run_file(vertex, *file, inputs, record);
  } else {
    std::vector<LayerStack> stacks;
    for (const auto& input : inputs) stacks.push_back(input.layers);
    auto outputs = co_await run_exec(vertex, std::get<ExecOp>(v.op), std::move(stacks));
    result.layers = std::move(outputs[0]);
    for (size_t i = 1; i < outputs.size(); ++i) result.more.push_back(std::move(outputs[i]));
  }
  co_return result;
}

/// The newest layer that the op has made here of any inputs, if it is there as a directory.
std::optional<LayerId> SolveRun::earlier_result(const Digest& op) {
  for (const auto& record : cache_.with_op(op, 1)) {
    // exists() also keeps it from being collected meanwhile.
    if (record.layers.empty() || !state_.layers().exists(record.layers)) continue;
    if (state_.layers().has_directory(record.layers.back())) return record.layers.back();
  }
  return std::nullopt;
}

Task<LayerStack> SolveRun::run_file(uint32_t vertex, const FileOp& op,
                                    const std::vector<Ref>& inputs,
                                    std::vector<RecordInput>& record) {
  LayerStack layers = inputs[0].layers;
  // A build without cache takes nothing over, not even bytes that are surely the same.
  std::optional<LayerId> earlier;
  if (!vertex_at(vertex).ignore_cache) earlier = earlier_result(states_[vertex].op);
  std::vector<RevealingFile> revealing;
  // Of links each file would be copied once more, before the step.
  const Borrowing how = mounted_.contains({vertex, 0}) ? Borrowing::copy : Borrowing::link;
  auto work = [&] {
    InputTrees trees;
    // Of what a layer has, the step that copied it there has said so.
    const auto on_revealing = [&](const Tree& tree, const Found& file, const std::string& xattr) {
      const auto is_it = [&](const Ref& input) { return input.local.get() == &tree; };
      if (std::any_of(inputs.begin(), inputs.end(), is_it)) revealing.push_back({file.path, xattr});
    };
    for (size_t i = 1; i < inputs.size(); ++i) {
      trees.push_back(inputs[i].local ? inputs[i].local
                                      : stack_tree(state_.layers(), inputs[i].layers));
    }
    const LayerId layer =
        run_file_op(state_.layers(), layers, op, trees, earlier, how, on_revealing);
    for (size_t i = 1; i < inputs.size(); ++i) {
      if (!inputs[i].local)
        record[i].selection = input_selection(vertex_at(vertex), i, trees[i - 1]);
    }
    return layer;
  };
  const LayerId made = co_await on_cpu(loop_, work);
  for (const auto& warning : revealing_warnings(revealing)) progress_.warning(warning);
  layers.push_back(made);
  co_return layers;
}

/// Of a step that ran with what a cache had in a mount.
void SolveRun::bind_to_mounts(uint32_t vertex, VertexKey& key) {
  const auto& mounts = states_[vertex].mounts;
  if (mounts.empty()) return;
  WireWriter writer;
  writer.text("lade mounts 1").digest(key.key);
  for (const auto& [name, origin] : mounts) {
    writer.digest(name);
    key.claims.push_back(name);
    key.origins.insert(origin);
  }
  key.key = Digest::of(writer.str());
  key.is_bound = true;
}

void SolveRun::record(uint32_t vertex, const VertexKey& key, std::vector<RecordInput> inputs,
                      const Ref& result) {
  CacheRecord record;
  record.key = key.key;
  record.op = key.op;
  record.inputs = std::move(inputs);
  record.layers = result.layers;
  record.components = op_components(vertex_at(vertex));
  record.created_at = now_seconds();
  record.claims = key.claims;
  take_record(vertex, record, StepOutcome::ran, key.origins);
  // The first output's last: who finds it expects the others.
  for (uint32_t output = 1; output <= result.more.size(); ++output) {
    CacheRecord other = record;
    other.key = output_digest(key.key, output);
    other.op = output_digest(key.op, output);
    other.layers = result.output(output);
    if (!other.layers.empty()) created_.emplace(other.layers.back(), other.created_at);
    cache_.put(other);
  }
  cache_.put(record);
}

void SolveRun::announce_cached(uint32_t vertex) {
  const bool waited = std::exchange(states_[vertex].waited, false);
  if (std::exchange(states_[vertex].announced, true) && !waited) return;
  if (vertex_at(vertex).name.empty()) return;
  cached_.push_back(vertex);
  if (a_step_started_) flush_cached();
}

/// What is found cached before any step has to run is told in the order of the file, not in that of
/// the search, which begins at its end.
void SolveRun::flush_cached() {
  const auto place = [&](uint32_t vertex) {
    const SourceRange& range = vertex_at(vertex).range;
    return std::pair(range.first_line, vertex);
  };
  std::sort(cached_.begin(), cached_.end(),
            [&](uint32_t a, uint32_t b) { return place(a) < place(b); });
  for (const uint32_t vertex : std::exchange(cached_, {})) progress_.cached(number(vertex));
}

void SolveRun::announce_started(uint32_t vertex) {
  if (std::exchange(states_[vertex].announced, true)) return;
  const Vertex& v = vertex_at(vertex);
  if (!std::holds_alternative<SourceOp>(v.op)) {
    a_step_started_ = true;
    flush_cached();
  }
  if (!v.name.empty()) progress_.started(number(vertex));
}

void SolveRun::check_canceled() const {
  if (canceled_) throw canceled_error();
}

/// If the error is no failure of the build, which is to be tried again (without that layer, or on a
/// new scan): itself.
std::exception_ptr SolveRun::try_again(const Error& error) const {
  if (const auto* lost = dynamic_cast<const LostLayer*>(&error)) {
    return std::make_exception_ptr(*lost);
  }
  const auto* changed = dynamic_cast<const ChangedContext*>(&error);
  return changed && options_.rescans ? std::make_exception_ptr(*changed) : nullptr;
}

void SolveRun::fail(uint32_t vertex, const Error& error) {
  flush_cached();
  if (auto again = try_again(error)) {
    if (!first_error_) first_error_ = std::move(again);
    return cancel();
  }
  if (error.kind() == ErrorKind::canceled) {
    progress_.canceled(number(vertex));
    if (!first_error_) first_error_ = std::make_exception_ptr(error);
    return;
  }
  states_[vertex].outcome = StepOutcome::failed;
  progress_.failed(number(vertex), error.message());
  if (!first_error_) {
    Error out = error;
    if (vertex_at(vertex).range.first_line > 0) out.add_range(vertex_at(vertex).range);
    first_error_ = std::make_exception_ptr(out);
    failure = SolveFailure{vertex_at(vertex).name, vertex_at(vertex).range, logs_[vertex], vertex};
  }
  cancel();
}

void SolveRun::cancel() {
  if (std::exchange(canceled_, true)) return;
  for (const auto step : running_) executor_->kill(step);
  if (options_.remotes) options_.remotes->cancel();
}

Solver::Solver(StateDir& state, EventLoop& loop, Executor* executor, ImageSources& images,
               ProgressSink& progress, SolveOptions options)
    : run_(std::make_unique<SolveRun>(state, loop, executor, images, progress,
                                      std::move(options))) {}
Solver::~Solver() = default;

SolveResult Solver::solve(const Definition& definition, Edge root) {
  return run_->solve(definition, {root}).front();
}

std::vector<SolveResult> Solver::solve(const Definition& definition,
                                       const std::vector<Edge>& roots) {
  return run_->solve(definition, roots);
}

void Solver::cancel() {
  run_->cancel();
}

namespace {

bool has_result(const StepLog& step) {
  return step.outcome != StepOutcome::unneeded && step.outcome != StepOutcome::unreached &&
         step.outcome != StepOutcome::failed;
}

/// Of a build that ended early: what would have been needed still. Users come after what they use.
void mark_unreached(std::vector<StepLog>& steps) {
  std::vector<bool> is_used(steps.size());
  std::vector<bool> is_needed(steps.size());
  for (size_t i = steps.size(); i-- > 0;) {
    const bool needed = is_needed[i] || !is_used[i];
    if (needed && steps[i].outcome == StepOutcome::unneeded) {
      steps[i].outcome = StepOutcome::unreached;
    }
    for (const uint32_t input : steps[i].inputs) {
      is_used[input] = true;
      is_needed[input] = is_needed[input] || (needed && !has_result(steps[i]));
    }
  }
}

}  // namespace

std::vector<StepLog> SolveRun::steps() const {
  std::vector<StepLog> out;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    const Vertex& v = vertex_at(i);
    StepLog step;
    step.name = v.name;
    step.line = v.range.first_line;
    step.last_line = v.range.last_line;
    step.outcome = states_[i].outcome;
    step.record = states_[i].record;
    const auto* source = std::get_if<SourceOp>(&v.op);
    if (source && !RemoteSources::handles(*source)) {
      step.source = source->identifier;
      step.outcome = StepOutcome::source;
    } else {
      step.op = states_[i].op.empty() ? op_digest(v) : states_[i].op;
      for (const Edge& input : v.inputs) {
        step.inputs.push_back(input.vertex);
        step.forced = step.forced || out[input.vertex].forced;
      }
      step.forced = step.forced || v.ignore_cache;
    }
    out.push_back(std::move(step));
  }
  if (first_error_) mark_unreached(out);
  return out;
}

std::vector<StepLog> Solver::steps() const {
  return run_->steps();
}

std::vector<SharedRecord> Solver::shared_records() const {
  return run_->shared_records();
}

std::vector<SharedMount> Solver::shared_mounts() const {
  return run_->shared_mounts();
}

const FailedStep* Solver::failed_step() const {
  if (!run_->failure) return nullptr;
  const auto found = run_->failed_steps.find(run_->failure->vertex);
  return found == run_->failed_steps.end() ? nullptr : &found->second;
}

const SolveFailure* Solver::failure() const {
  return run_->failure ? &*run_->failure : nullptr;
}

}  // namespace lade
