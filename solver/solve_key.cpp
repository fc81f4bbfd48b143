// Keys, and what this machine has under them.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

constexpr std::string_view kResultScheme = "result://";
/// From here on a hint is due.
constexpr uint64_t kLargeContext = 1'000'000'000;

/// What a vertex is called by what it does and by what it is made from. Of local inputs `inputs`
/// has empty()s; `selection` is what is read of them, empty() if there are none.
Digest key_of(const Digest& op, const std::vector<Digest>& inputs, const Digest& selection) {
  WireWriter writer;
  writer.text("lade key 1").digest(op);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].empty()) writer.number(i).digest(inputs[i]);
  }
  if (!selection.empty()) writer.text("local").digest(selection);
  return Digest::of(writer.str());
}

}  // namespace

Digest output_digest(const Digest& digest, uint32_t number) {
  if (number == 0) return digest;
  return Digest::of(WireWriter().text("lade output").digest(digest).number(number).str());
}

std::optional<Ref> SolveRun::result_of(uint32_t vertex, const CacheRecord& record) {
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

Task<std::shared_ptr<const Tree>> SolveRun::local_tree(std::string name) {
  const auto known = locals_.find(name);
  if (known != locals_.end()) return known->second;
  return locals_[name] = scan_local_tree(name);
}

Task<std::shared_ptr<const Tree>> SolveRun::scan_local_tree(std::string name) {
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

/// Long reading is told, with what makes it shorter.
void SolveRun::watch_reading(uint32_t vertex, const Tree& tree) {
  // What is posted runs before the end of the selection does, so before this run may end.
  tree.watch_reading([this, vertex](const TreeReading& reading) {
    loop_.post([this, vertex, reading] {
      announce_started(vertex);
      if (reading.total >= kLargeContext) {
        progress_.status(
            number(vertex),
            fmt::format("{:.1f}GB in {} are to be read: a .dockerignore leaves out "
                        "what no COPY needs",
                        static_cast<double>(reading.total) / 1e9, counted(reading.files, "file")),
            0, 0);
      }
      progress_.status(number(vertex), "reading files", reading.done, reading.total);
    });
  });
}

/// A directory has been read as far as it had to be. Told once, as it may be needed again.
void SolveRun::tell_read(uint32_t vertex) {
  if (!std::exchange(states_[vertex].is_read, true)) progress_.completed(number(vertex));
}

VertexKey SolveRun::image_key(const SourceOp& op) {
  VertexKey key;
  WireWriter writer;
  if (op.identifier == "scratch") {
    writer.text("lade scratch");
  } else {
    // By what it holds, not by its manifest: a rebuilt config alone changes nothing for the steps.
    writer.text("lade image").text(op.attrs.at("chain"));
  }
  key.own = key.key = key.definition = Digest::of(writer.str());
  // A build's result is called by what it holds, too; some of that may be a cache's word only.
  if (!op.identifier.starts_with(kResultScheme)) return key;
  const LayerStack layers = images_.resolved(op.identifier).layers;
  const LayerStack by_word = claimed(layers);
  if (by_word.empty()) return key;
  WireWriter words;
  words.text("lade claimed result 1").digest(key.key);
  for (const LayerId layer : by_word) words.digest(state_.layers().claim_of(layer).value());
  key.own = key.key = Digest::of(words.str());
  key.origins = origins_of(layers);
  return key;
}

Task<VertexKey> SolveRun::remote_key(uint32_t vertex) {
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
    key.own = key.definition = key.key;
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

bool SolveRun::look_up(uint32_t vertex, VertexKey& key) {
  if (key.forced) return false;
  return look_up_record(vertex, key.own, key) ||
         (key.key != key.own && look_up_record(vertex, key.key, key));
}

bool SolveRun::look_up_record(uint32_t vertex, const Digest& name, VertexKey& key) {
  auto record = cache_.find(name);
  // Its own may stand beside what a cache says.
  if (record && !is_vouched_for(*record)) record = cache_.find_itself(name);
  if (!record || !is_vouched_for(*record)) return false;
  if (!state_.layers().exists(record->layers)) {
    cache_.remove(record->key);
    return false;
  }
  if (!obtainable(record->layers)) return false;
  auto result = result_of(vertex, *record);
  if (!result) return false;
  const bool own = name == key.own && record->claims.empty();
  if (own) key.origins = origins_of(record->layers);
  for (const Digest& claim : record->claims) {
    key.origins.merge(options_.imports->origins_of(claim));
  }
  key.key = record->key;
  if (own) key.own = record->key;
  key.hit = std::move(result);
  take_record(vertex, *record, record->origin.empty() ? StepOutcome::cached : StepOutcome::imported,
              key.origins);
  return true;
}

void SolveRun::take_record(uint32_t vertex, const CacheRecord& record, StepOutcome outcome,
                           std::set<std::string> origins) {
  states_[vertex].record = record.key;
  states_[vertex].outcome = outcome;
  states_[vertex].origins = std::move(origins);
  state_.layers().note_used(record.layers);
  if (!record.layers.empty()) created_.emplace(record.layers.back(), record.created_at);
}

Task<Digest> SolveRun::select_locals(const Vertex& vertex, Digest op, const InputTrees& trees) {
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

Task<VertexKey> SolveRun::compute_key(uint32_t vertex) {
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
  std::vector<Digest> own(v.inputs.size());
  std::vector<Digest> definition(v.inputs.size());
  key.input_keys.resize(v.inputs.size());
  InputTrees trees(v.inputs.empty() ? 0 : v.inputs.size() - 1);
  bool own_failure = false;
  try {
    for (size_t i = 0; i < v.inputs.size(); ++i) {
      const auto* source = std::get_if<SourceOp>(&vertex_at(v.inputs[i].vertex).op);
      own_failure = i > 0 && source && source->identifier.starts_with(kLocalScheme);
      if (own_failure) {
        trees[i - 1] = co_await local_tree(source->identifier.substr(kLocalScheme.size()));
        watch_reading(v.inputs[i].vertex, *trees[i - 1]);
      } else {
        VertexKey input = co_await this->key(v.inputs[i].vertex);
        key.forced = key.forced || input.forced;
        own[i] = output_digest(input.own, v.inputs[i].output);
        key.input_keys[i] = output_digest(input.key, v.inputs[i].output);
        definition[i] = output_digest(input.definition, v.inputs[i].output);
        key.origins.merge(input.origins);
      }
    }
    own_failure = true;
    key.selection = co_await select_locals(v, key.op, trees);
    for (size_t i = 0; i < trees.size(); ++i) {
      if (trees[i] && states_[v.inputs[i + 1].vertex].announced) tell_read(v.inputs[i + 1].vertex);
    }
    for (size_t i = 0; i < trees.size() && !key.selection.empty(); ++i) {
      if (trees[i]) key.inputs[i + 1].selection = key.selection;
    }
  } catch (const Error& error) {
    if (own_failure) fail(vertex, error);
    throw;
  }
  // As this machine's own records have it, as those that a cache's word is in, and as any other
  // machine's would.
  key.own = key_of(key.op, own, key.selection);
  key.key = key_of(key.op, key.input_keys, key.selection);
  key.definition = key_of(key.op, definition, key.selection);
  if (look_up(vertex, key) || co_await look_up_imports(vertex, key)) {
    announce_cached(vertex);
  } else if (const auto* exec = std::get_if<ExecOp>(&v.op);
             exec && exec->network == OpNetwork::sandbox && executor_) {
    // It will most likely run: its network is readied while inputs are fetched and made.
    executor_->prefetch_network();
  }
  co_return key;
}

/// Once the inputs are there, some may stand on a cache's word that their keys did not tell of.
void SolveRun::bind(VertexKey& key, const std::vector<Ref>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].bond.empty()) continue;
    key.input_keys[i] = inputs[i].bond;
    key.is_bound = true;
  }
  if (key.is_bound) key.key = key_of(key.op, key.input_keys, key.selection);
}

}  // namespace lade
