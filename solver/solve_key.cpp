// Keys and content comparison.
#include <algorithm>
#include <chrono>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/selection.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

constexpr int kCandidates = 20;

/// Whether the op reads this input as a whole, so that its content is its chain of layers.
bool reads_whole(const Vertex& vertex, size_t input) {
  if (const auto* exec = std::get_if<ExecOp>(&vertex.op); exec && input > 0) {
    return std::any_of(exec->mounts.begin(), exec->mounts.end(), [&](const ExecMount& mount) {
      return mount.output && mount.input == input;
    });
  }
  return input == 0 || !std::holds_alternative<FileOp>(vertex.op);
}

}  // namespace

Digest output_digest(const Digest& digest, uint32_t number) {
  if (number == 0) return digest;
  return Digest::of(WireWriter().text("lade output").digest(digest).number(number).str());
}

std::optional<Ref> Solver::Run::result_of(uint32_t vertex, const CacheRecord& record) {
  Ref result{record.layers, nullptr};
  for (uint32_t output = 1; output < output_count(vertex_at(vertex).op); ++output) {
    const auto other = cache_.find(output_digest(record.key, output));
    if (!other || !state_.layers().exists(other->layers) || !obtainable(other->layers)) return {};
    state_.layers().note_used(other->layers);
    if (!other->layers.empty()) created_.emplace(other->layers.back(), other->created_at);
    result.more.push_back(other->layers);
  }
  return result;
}

Task<std::shared_ptr<const Tree>> Solver::Run::local_tree(std::string name) {
  const auto known = locals_.find(name);
  if (known != locals_.end()) return known->second;
  return locals_[name] = scan_local_tree(name);
}

Task<std::shared_ptr<const Tree>> Solver::Run::scan_local_tree(std::string name) {
  const auto options = options_.locals.find(name);
  if (options == options_.locals.end())
    throw Error("no directory was given for the context " + quoted(name));
  if (const auto begun = options_.scans.find(name); begun != options_.scans.end()) {
    const LocalScan& scan = begun->second;
    const bool ready = scan.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    auto wait = [&scan] { scan.wait(); };
    if (!ready) co_await on_thread(loop_, wait);
    co_return scan.get();
  }
  const LocalSourceOptions& local = options->second;
  auto work = [&local] { return scan_local(local); };
  co_return co_await on_cpu(loop_, work);
}

VertexKey Solver::Run::image_key(const SourceOp& op) const {
  VertexKey key;
  WireWriter writer;
  if (op.identifier == "scratch") {
    writer.text("lade scratch");
  } else {
    // By what it holds, not by its manifest: a rebuilt config alone changes nothing for the steps.
    writer.text("lade image").text(op.attrs.at("chain"));
  }
  key.key = key.definition = Digest::of(writer.str());
  return key;
}

Task<VertexKey> Solver::Run::remote_key(uint32_t vertex) {
  const SourceOp& op = std::get<SourceOp>(vertex_at(vertex).op);
  VertexKey key;
  try {
    check_canceled();
    key.op = states_[vertex].op = op_digest(vertex_at(vertex));
    key.forced = vertex_at(vertex).ignore_cache;
    auto work = [&source = remotes(), &op, progress = transfer_progress(vertex)] {
      return source.resolve(op, progress);
    };
    key.key = co_await on_thread(loop_, work);
    key.definition = key.key;
    if (look_up(vertex, key) || co_await look_up_imports(vertex, key)) {
      // What had to be downloaded to find out that it is known was shown as started.
      if (states_[vertex].announced) progress_.completed(number(vertex));
      announce_cached(vertex);
    }
  } catch (const Error& error) {
    fail(vertex, error);
    throw;
  }
  co_return key;
}

bool Solver::Run::look_up(uint32_t vertex, VertexKey& key) {
  if (key.forced) return false;
  const auto record = cache_.find(key.key);
  if (!record) return false;
  if (!state_.layers().exists(record->layers)) {
    cache_.remove(record->key);
    return false;
  }
  if (!obtainable(record->layers)) return false;
  auto result = result_of(vertex, *record);
  if (!result) return false;
  key.key = record->key;
  key.hit = std::move(result);
  take_record(vertex, *record, StepOutcome::cached);
  return true;
}

void Solver::Run::take_record(uint32_t vertex, const CacheRecord& record, StepOutcome outcome) {
  states_[vertex].record = record.key;
  states_[vertex].outcome = outcome;
  state_.layers().note_used(record.layers);
  if (!record.layers.empty()) created_.emplace(record.layers.back(), record.created_at);
}

bool Solver::Run::obtainable(const LayerStack& layers) {
  const LayerStack unsure = [&] {
    const std::lock_guard lock(obtainable_mutex_);
    return obtainable_.missing(layers);
  }();
  return std::all_of(unsure.begin(), unsure.end(), [&](LayerId layer) {
    if (!is_obtainable(layer)) return false;
    const std::lock_guard lock(obtainable_mutex_);
    obtainable_.insert(layer);
    return true;
  });
}

bool Solver::Run::is_obtainable(LayerId layer) {
  if (state_.layers().has_directory(layer) || images_.provider_of(layer)) return true;
  const auto info = state_.layers().info(layer);
  const bool here =
      info && std::any_of(info->blobs.begin(), info->blobs.end(), [&](const LayerBlob& blob) {
        return state_.content().has(blob.descriptor.digest);
      });
  return here || (options_.imports && options_.imports->provider_of(layer));
}

Task<void> Solver::Run::load_imports() {
  auto work = [this] {
    options_.imports->load(
        [this](const std::string& text) { loop_.post([this, text] { progress_.warning(text); }); });
  };
  co_await on_thread(loop_, work);
}

Task<bool> Solver::Run::look_up_imports(uint32_t vertex, VertexKey& key) {
  if (!options_.imports || key.forced) co_return false;
  co_await imports_;
  // With the caches at hand, the bytes of an imported record may be obtainable after all.
  if (look_up(vertex, key)) co_return true;
  auto record = options_.imports->find(key.definition);
  if (!record || !obtainable(record->layers) || !take_imported_outputs(vertex, key))
    co_return false;
  record->key = key.key;
  record->components = op_components(vertex_at(vertex));
  cache_.put(*record);
  key.hit = result_of(vertex, *record);
  take_record(vertex, *record, StepOutcome::imported);
  co_return true;
}

/// Puts the records of the vertex's outputs after the first into the cache. False if some are
/// missing.
bool Solver::Run::take_imported_outputs(uint32_t vertex, const VertexKey& key) {
  for (uint32_t output = 1; output < output_count(vertex_at(vertex).op); ++output) {
    auto record = options_.imports->find(output_digest(key.definition, output));
    if (!record || !obtainable(record->layers)) return false;
    record->key = output_digest(key.key, output);
    record->components = op_components(vertex_at(vertex));
    cache_.put(*record);
  }
  return true;
}

Task<Digest> Solver::Run::select_locals(const Vertex& vertex, Digest op, const InputTrees& trees) {
  const auto given = [](const auto& tree) { return tree != nullptr; };
  const auto first = std::find_if(trees.begin(), trees.end(), given);
  if (first == trees.end()) co_return Digest();
  if (!std::holds_alternative<FileOp>(vertex.op)) {
    throw Error("only file ops can read a local directory as it lies: " + vertex.name);
  }
  const auto& actions = std::get<FileOp>(vertex.op).actions;
  // Not part of the op's digest, but of whether there is an answer.
  const bool must_match = std::any_of(actions.begin(), actions.end(), [](const auto& action) {
    const auto* copy = std::get_if<CopyAction>(&action);
    return copy != nullptr && copy->must_match;
  });
  WireWriter writer;
  writer.text("selection 2").digest(op).number(first - trees.begin()).number(must_match);
  const Digest question = Digest::of(writer.str());
  const bool single = std::none_of(first + 1, trees.end(), given);
  if (single) {
    if (const auto known = (*first)->known_selection(question)) co_return *known;
  }
  const FileOp& file_op = std::get<FileOp>(vertex.op);
  auto work = [&file_op, &trees] { return file_op_selection(file_op, trees); };
  const Digest selection = co_await on_cpu(loop_, work);
  if (single) (*first)->remember_selection(question, selection);
  co_return selection;
}

Task<VertexKey> Solver::Run::compute_key(uint32_t vertex) {
  const Vertex& v = vertex_at(vertex);
  if (const auto* source = std::get_if<SourceOp>(&v.op)) {
    if (source->identifier.starts_with(kLocalScheme)) co_return VertexKey{};
    if (RemoteSources::handles(*source)) co_return co_await remote_key(vertex);
    co_return image_key(*source);
  }
  VertexKey key;
  key.op = states_[vertex].op = op_digest(v);
  key.forced = v.ignore_cache;
  key.inputs.resize(v.inputs.size());
  // The key as this machine's records have it, and as any other machine's would.
  WireWriter writer;
  WireWriter definition;
  writer.text("lade key 1").digest(key.op);
  definition.text("lade key 1").digest(key.op);
  InputTrees trees(v.inputs.empty() ? 0 : v.inputs.size() - 1);
  bool own_failure = false;
  try {
    for (size_t i = 0; i < v.inputs.size(); ++i) {
      const auto* source = std::get_if<SourceOp>(&vertex_at(v.inputs[i].vertex).op);
      own_failure = i > 0 && source && source->identifier.starts_with(kLocalScheme);
      if (own_failure) {
        trees[i - 1] = co_await local_tree(source->identifier.substr(kLocalScheme.size()));
      } else {
        const VertexKey input = co_await this->key(v.inputs[i].vertex);
        key.forced = key.forced || input.forced;
        writer.number(i).digest(output_digest(input.key, v.inputs[i].output));
        definition.number(i).digest(output_digest(input.definition, v.inputs[i].output));
      }
    }
    own_failure = true;
    if (const Digest selection = co_await select_locals(v, key.op, trees); !selection.empty()) {
      writer.text("local").digest(selection);
      definition.text("local").digest(selection);
      for (size_t i = 0; i < trees.size(); ++i) {
        if (trees[i]) key.inputs[i + 1].selection = selection;
      }
    }
  } catch (const Error& error) {
    if (own_failure) fail(vertex, error);
    throw;
  }
  key.key = Digest::of(writer.str());
  key.definition = Digest::of(definition.str());
  if (look_up(vertex, key) || co_await look_up_imports(vertex, key)) {
    announce_cached(vertex);
  } else if (const auto* exec = std::get_if<ExecOp>(&v.op);
             exec && exec->network == OpNetwork::sandbox && executor_) {
    // It will most likely run: its network is readied while inputs are fetched and made.
    executor_->prefetch_network();
  }
  co_return key;
}

Digest Solver::Run::input_selection(const Vertex& vertex, size_t input,
                                    std::shared_ptr<const Tree> tree) {
  if (const auto* file = std::get_if<FileOp>(&vertex.op)) {
    InputTrees trees(vertex.inputs.size() - 1);
    trees[input - 1] = std::move(tree);
    return file_op_selection(*file, trees);
  }
  WireWriter writer;
  for (const auto& mount : std::get<ExecOp>(vertex.op).mounts) {
    if (mount.input == input) writer.digest(mount_digest(*tree, mount.subpath));
  }
  return Digest::of(writer.str());
}

Task<std::optional<CacheRecord>> Solver::Run::find_same_content(uint32_t vertex, Digest op,
                                                                std::vector<RecordInput> inputs,
                                                                std::vector<Ref> refs) {
  const Vertex& v = vertex_at(vertex);
  // Nothing is hashed unless there is something to compare with.
  const std::vector<CacheRecord> candidates = cache_.with_op(op, kCandidates);
  if (candidates.empty()) co_return std::nullopt;
  for (size_t i = 0; i < refs.size(); ++i) {
    if (!reads_whole(v, i) && !refs[i].local) co_await ensure_directories(refs[i].layers);
  }
  LayerStore& layers = state_.layers();
  auto work = [&]() -> std::optional<CacheRecord> {
    std::vector<std::optional<Digest>> selections(refs.size());
    const auto same_stack = [&](const LayerStack& ours, const LayerStack& theirs) {
      if (ours.size() != theirs.size()) return false;
      for (size_t i = 0; i < ours.size(); ++i) {
        if (ours[i] == theirs[i]) continue;
        if (layers.content_digest(ours[i]) != layers.content_digest(theirs[i])) return false;
      }
      return true;
    };
    const auto same_input = [&](size_t i, const RecordInput& theirs) {
      if (reads_whole(v, i)) return same_stack(refs[i].layers, theirs.layers);
      if (refs[i].local) return inputs[i].selection == theirs.selection;
      if (refs[i].layers == theirs.layers) return true;
      if (!selections[i]) {
        selections[i] = input_selection(v, i, stack_tree(layers, refs[i].layers));
      }
      // What was mounted is hashed only now that it is asked for; what was copied was hashed then.
      return *selections[i] == (theirs.selection.empty()
                                    ? input_selection(v, i, stack_tree(layers, theirs.layers))
                                    : theirs.selection);
    };
    for (const auto& candidate : candidates) {
      if (candidate.inputs.size() != refs.size() || !layers.exists(candidate.layers)) continue;
      if (!obtainable(candidate.layers)) continue;
      bool same = true;
      for (size_t i = 0; same && i < refs.size(); ++i) {
        if (!layers.exists(candidate.inputs[i].layers)) same = false;
        same = same && same_input(i, candidate.inputs[i]);
      }
      if (same) return candidate;
    }
    return std::nullopt;
  };
  co_return co_await on_cpu(loop_, work);
}

/// What content keys see of an input that is read as a whole.
Digest Solver::Run::chain_content(const LayerStack& layers) {
  WireWriter writer;
  writer.text("lade chain");
  for (const LayerId layer : layers) writer.digest(state_.layers().content_digest(layer));
  return Digest::of(writer.str());
}

Task<std::optional<CacheRecord>> Solver::Run::find_imported_content(uint32_t vertex, VertexKey key,
                                                                    std::vector<Ref> refs) {
  const Vertex& v = vertex_at(vertex);
  // Of several outputs only the definition key leads to all.
  if (!options_.imports || output_count(v.op) > 1) co_return std::nullopt;
  co_await imports_;
  if (!options_.imports->has_op(key.op)) co_return std::nullopt;
  for (size_t i = 0; i < refs.size(); ++i) {
    if (!reads_whole(v, i) && !refs[i].local) co_await ensure_directories(refs[i].layers);
  }
  auto work = [&] {
    return options_.imports->find_content(key.op, refs.size(), [&](size_t i) {
      if (reads_whole(v, i)) return chain_content(refs[i].layers);
      if (refs[i].local) return key.inputs[i].selection;
      return input_selection(v, i, stack_tree(state_.layers(), refs[i].layers));
    });
  };
  auto record = co_await on_cpu(loop_, work);
  if (!record || !obtainable(record->layers)) co_return std::nullopt;
  record->key = key.key;
  record->components = op_components(v);
  record->inputs = key.inputs;
  for (size_t i = 0; i < refs.size(); ++i) record->inputs[i].layers = refs[i].layers;
  cache_.put(*record);
  co_return record;
}

std::vector<SharedRecord> Solver::Run::shared_records() {
  std::vector<SharedRecord> out;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    if (states_[i].record.empty()) continue;
    const auto found = cache_.find(states_[i].record);
    if (!found || !state_.layers().exists(found->layers)) continue;
    const auto result = result_of(i, *found);
    if (!result) continue;
    SharedRecord record;
    record.key = states_[i].key.get().definition;
    record.op = found->op;
    record.layers = found->layers;
    record.created_at = found->created_at;
    record.origin = found->origin;
    record.of_result = root_chain_.contains({i, 0});
    for (size_t n = 0; n < found->inputs.size(); ++n) {
      const RecordInput& input = found->inputs[n];
      const bool whole = reads_whole(vertex_at(i), n) && state_.layers().exists(input.layers);
      record.inputs.push_back(whole ? chain_content(input.layers) : input.selection);
    }
    if (record.inputs.empty() && options_.imports) {
      record.inputs = options_.imports->inputs_of(record.origin, record.key);
    }
    for (uint32_t output = 1; output <= result->more.size(); ++output) {
      SharedRecord other = record;
      other.key = output_digest(record.key, output);
      other.op = output_digest(record.op, output);
      other.layers = result->output(output);
      other.of_result = root_chain_.contains({i, output});
      out.push_back(std::move(other));
    }
    out.push_back(std::move(record));
  }
  return out;
}

std::vector<SharedMount> Solver::Run::shared_mounts() const {
  std::map<std::string, SharedMount> out;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    const auto* op = std::get_if<ExecOp>(&vertex_at(i).op);
    if (!op) continue;
    for (const ExecMount& mount : op->mounts) {
      if (mount.type != ExecMountType::cache || mount.input) continue;
      out[mount.id] = {mount.id, used_mounts_.contains(mount.id)};
    }
  }
  std::vector<SharedMount> list;
  for (auto& [id, mount] : out) list.push_back(std::move(mount));
  return list;
}

}  // namespace lade
