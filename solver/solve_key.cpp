// Keys and content comparison.
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/selection.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

constexpr std::string_view kLocalScheme = "local://";
constexpr int kCandidates = 20;

/// Whether the op reads this input as a whole, so that its content is its chain of layers.
bool reads_whole(const Vertex& vertex, size_t input) {
  return input == 0 || std::holds_alternative<MergeOp>(vertex.op);
}

}  // namespace

Task<std::shared_ptr<const Tree>> Solver::Run::local_tree(std::string name) {
  const auto known = locals_.find(name);
  if (known != locals_.end()) return known->second;
  return locals_[name] = scan_local_tree(name);
}

Task<std::shared_ptr<const Tree>> Solver::Run::scan_local_tree(std::string name) {
  const auto options = options_.locals.find(name);
  if (options == options_.locals.end())
    throw Error("no directory was given for the context " + quoted(name));
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
  key.key = Digest::of(writer.str());
  return key;
}

Task<VertexKey> Solver::Run::remote_key(uint32_t vertex) {
  const SourceOp& op = std::get<SourceOp>(vertex_at(vertex).op);
  VertexKey key;
  try {
    check_canceled();
    key.op = op_digest(vertex_at(vertex));
    key.forced = vertex_at(vertex).ignore_cache;
    auto work = [&source = remotes(), &op, progress = transfer_progress(vertex)] {
      return source.resolve(op, progress);
    };
    key.key = co_await on_thread(loop_, work);
    if (look_up(key)) {
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

bool Solver::Run::look_up(VertexKey& key) {
  if (key.forced) return false;
  const auto record = cache_.find(key.key);
  if (!record) return false;
  if (!state_.layers().exists(record->layers)) {
    cache_.remove(record->key);
    return false;
  }
  key.key = record->key;
  key.hit = record->layers;
  note_created(*record);
  return true;
}

Task<Digest> Solver::Run::select_locals(const Vertex& vertex, const InputTrees& trees) {
  bool any = false;
  for (const auto& tree : trees) any = any || tree;
  if (!any) co_return Digest();
  if (!std::holds_alternative<FileOp>(vertex.op)) {
    throw Error("only file ops can read a local directory as it lies: " + vertex.name);
  }
  const FileOp& op = std::get<FileOp>(vertex.op);
  auto work = [&op, &trees] { return file_op_selection(op, trees); };
  co_return co_await on_cpu(loop_, work);
}

Task<VertexKey> Solver::Run::compute_key(uint32_t vertex) {
  const Vertex& v = vertex_at(vertex);
  if (const auto* source = std::get_if<SourceOp>(&v.op)) {
    if (source->identifier.starts_with(kLocalScheme)) co_return VertexKey{};
    if (RemoteSources::handles(*source)) co_return co_await remote_key(vertex);
    co_return image_key(*source);
  }
  VertexKey key;
  key.op = op_digest(v);
  key.forced = v.ignore_cache;
  key.inputs.resize(v.inputs.size());
  WireWriter writer;
  writer.text("lade key 1").digest(key.op);
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
        writer.number(i).digest(input.key);
      }
    }
    own_failure = true;
    if (const Digest selection = co_await select_locals(v, trees); !selection.empty()) {
      writer.text("local").digest(selection);
      for (size_t i = 0; i < trees.size(); ++i) {
        if (trees[i]) key.inputs[i + 1].selection = selection;
      }
    }
  } catch (const Error& error) {
    if (own_failure) fail(vertex, error);
    throw;
  }
  key.key = Digest::of(writer.str());
  if (look_up(key)) {
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
    if (mount.input != input) continue;
    CopyAction all;
    all.source = mount.subpath.empty() ? "/" : mount.subpath;
    all.wildcard = false;
    writer.digest(selection_digest(*tree, select_sources(*tree, all)));
  }
  return Digest::of(writer.str());
}

Task<std::optional<CacheRecord>> Solver::Run::find_same_content(uint32_t vertex, Digest op,
                                                                std::vector<RecordInput> inputs,
                                                                std::vector<Ref> refs) {
  const Vertex& v = vertex_at(vertex);
  if (v.ignore_cache) co_return std::nullopt;
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

}  // namespace lade
