// Contents: what inputs hold is compared with what records were made of, and told to other
// machines.
#include <algorithm>

#include "base/wire.hpp"
#include "solver/ops/selection.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

// Records of an op that are compared, newest first. Most differ in the first layer that is looked
// at, which takes microseconds.
constexpr int kCandidates = 1000;

}  // namespace

/// Whether the op reads this input as a whole, so that its content is its chain of layers.
bool reads_whole(const Vertex& vertex, size_t input) {
  if (const auto* exec = std::get_if<ExecOp>(&vertex.op); exec && input > 0) {
    return std::any_of(exec->mounts.begin(), exec->mounts.end(), [&](const ExecMount& mount) {
      return mount.output && mount.input == input;
    });
  }
  return input == 0 || !std::holds_alternative<FileOp>(vertex.op);
}

Digest SolveRun::input_selection(const Vertex& vertex, size_t input,
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

Task<std::optional<CacheRecord>> SolveRun::find_same_content(uint32_t vertex, Digest op,
                                                             std::vector<RecordInput> inputs,
                                                             std::vector<Ref> refs) {
  const Vertex& v = vertex_at(vertex);
  // Nothing is hashed unless there is something to compare with.
  if (cache_.with_op(op, 1).empty()) co_return std::nullopt;
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
    for (const auto& candidate : cache_.with_op(op, kCandidates)) {
      if (candidate.inputs.size() != refs.size() || !layers.exists(candidate.layers)) continue;
      if (!obtainable(candidate.layers)) continue;
      bool same = true;
      for (size_t i = 0; same && i < refs.size(); ++i) {
        const LayerStack& theirs = candidate.inputs[i].layers;
        const LayerStack by_word = claimed(theirs);
        same = layers.exists(theirs) &&
               std::all_of(by_word.begin(), by_word.end(),
                           [&](LayerId layer) { return is_vouched_for(layer); }) &&
               same_input(i, candidate.inputs[i]);
      }
      if (same) return candidate;
    }
    return std::nullopt;
  };
  co_return co_await on_cpu(loop_, work);
}

/// A record of the same op on inputs of the same content: this machine's own, or a cache's.
Task<std::optional<Ref>> SolveRun::take_same_content(uint32_t vertex, VertexKey key,
                                                     std::vector<Ref> inputs) {
  auto same = co_await find_same_content(vertex, key.op, key.inputs, inputs);
  if (!same) same = co_await find_imported_content(vertex, key, inputs);
  auto known = same ? result_of(vertex, *same) : std::nullopt;
  if (!known) co_return std::nullopt;
  std::set<std::string> words = origins_of(same->layers);
  if (!same->origin.empty()) words.insert(same->origin);
  if (key.is_bound || !words.empty()) known->bond = same->key;
  words.merge(key.origins);
  // What builds on this vertex had its key computed already, from the key that missed; it compares
  // contents in turn. The alias makes the next build hit at once: if it leads to what a cache says,
  // such builds as have read that.
  cache_.alias(key.key, same->key);
  take_record(vertex, *same, StepOutcome::same_content, std::move(words));
  announce_cached(vertex);
  co_return known;
}

/// What content keys see of an input that is read as a whole.
Digest SolveRun::chain_content(const LayerStack& layers) {
  WireWriter writer;
  writer.text("lade chain");
  for (const LayerId layer : layers) writer.digest(state_.layers().content_digest(layer));
  return Digest::of(writer.str());
}

SharedRecord SolveRun::shared_record(uint32_t vertex, const CacheRecord& found) {
  LayerStore& layers = state_.layers();
  SharedRecord record;
  record.key = states_[vertex].key.get().definition;
  record.op = found.op;
  record.layers = found.layers;
  record.created_at = found.created_at;
  record.origins = states_[vertex].origins;
  record.imported = !found.origin.empty();
  record.of_result = root_chain_.contains({vertex, 0});
  record.has_known_inputs = found.claims.empty();
  for (size_t n = 0; n < found.inputs.size(); ++n) {
    const RecordInput& input = found.inputs[n];
    const bool whole = reads_whole(vertex_at(vertex), n) && layers.exists(input.layers);
    record.inputs.push_back(whole ? chain_content(input.layers) : input.selection);
    const bool known = std::all_of(input.layers.begin(), input.layers.end(),
                                   [&](LayerId layer) { return layers.knows_content(layer); });
    if (record.inputs.back().empty() || !known) record.has_known_inputs = false;
  }
  if (record.inputs.empty() && options_.imports && record.imported) {
    record.inputs = options_.imports->inputs_of(found.origin, record.key);
  }
  return record;
}

std::vector<SharedRecord> SolveRun::shared_records() {
  std::vector<SharedRecord> out;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    if (states_[i].record.empty()) continue;
    const auto found = cache_.find(states_[i].record);
    if (!found || !state_.layers().exists(found->layers)) continue;
    const auto result = result_of(i, *found);
    if (!result) continue;
    SharedRecord record = shared_record(i, *found);
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

std::vector<SharedMount> SolveRun::shared_mounts() const {
  std::map<Digest, SharedMount> out;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    const auto* op = std::get_if<ExecOp>(&vertex_at(i).op);
    if (!op) continue;
    for (const ExecMount& mount : op->mounts) {
      if (mount.type != ExecMountType::cache || mount.input) continue;
      const Digest name = CacheMount::name_of(mount, state_, {});
      out[name] = {mount.id, name, used_mounts_.contains(name)};
    }
  }
  std::vector<SharedMount> list;
  for (auto& [name, mount] : out) list.push_back(std::move(mount));
  return list;
}

}  // namespace lade
