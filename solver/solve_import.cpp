// What caches of other machines say, and whom it serves.
#include <algorithm>

#include "base/clock.hpp"
#include "base/wire.hpp"
#include "solver/solve_run.hpp"

namespace lade {
namespace {

/// The key of what caches say: it serves whoever has read the same words.
Digest key_of_claims(const std::vector<CacheRecord>& records) {
  WireWriter writer;
  writer.text("lade claim 1");
  for (const CacheRecord& record : records) writer.digest(record.claims.at(0));
  return Digest::of(writer.str());
}

}  // namespace

bool SolveRun::is_vouched_for(const CacheRecord& record) const {
  return std::all_of(record.claims.begin(), record.claims.end(), [&](const Digest& claim) {
    return options_.imports && !options_.imports->origins_of(claim).empty();
  });
}

LayerStack SolveRun::claimed(const LayerStack& layers) {
  LayerStack unsure = [&] {
    const std::lock_guard lock(obtainable_mutex_);
    return unclaimed_.missing(layers);
  }();
  std::erase_if(unsure, [&](LayerId layer) {
    if (state_.layers().claim_of(layer)) return false;
    const std::lock_guard lock(obtainable_mutex_);
    unclaimed_.insert(layer);
    return true;
  });
  return unsure;
}

bool SolveRun::is_vouched_for(LayerId layer) const {
  const auto claim = state_.layers().claim_of(layer);
  return !claim || (options_.imports && !options_.imports->origins_of_layer(*claim).empty());
}

std::set<std::string> SolveRun::origins_of(const LayerStack& layers) {
  std::set<std::string> out;
  if (!options_.imports) return out;
  for (const LayerId layer : claimed(layers)) {
    out.merge(options_.imports->origins_of_layer(state_.layers().claim_of(layer).value()));
  }
  return out;
}

bool SolveRun::obtainable(const LayerStack& layers) {
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

bool SolveRun::is_obtainable(LayerId layer) {
  if (!is_vouched_for(layer)) return false;
  if (state_.layers().has_directory(layer) || images_.provider_of(layer)) return true;
  const auto info = state_.layers().info(layer);
  const bool here =
      info && std::any_of(info->blobs.begin(), info->blobs.end(), [&](const LayerBlob& blob) {
        return state_.content().has(blob.descriptor.digest);
      });
  return here || (options_.imports && options_.imports->provider_of(layer));
}

Task<void> SolveRun::load_imports() {
  auto work = [this] {
    options_.imports->load(
        [this](const std::string& text) { loop_.post([this, text] { progress_.warning(text); }); });
  };
  co_await on_thread(loop_, work);
}

Task<bool> SolveRun::look_up_imports(uint32_t vertex, VertexKey& key) {
  if (!options_.imports || key.forced) co_return false;
  // With the caches at hand, what was founded on their word may be had after all.
  const bool were_here = imports_.done();
  co_await imports_;
  if (!were_here && look_up(vertex, key)) co_return true;
  co_return take_import(vertex, key);
}

/// What a cache says of the vertex, all its outputs. It is put into the local cache for other
/// builds that read the same, and so that garbage collection keeps the layers.
bool SolveRun::take_import(uint32_t vertex, VertexKey& key) {
  std::vector<Digest> definitions;
  for (uint32_t output = 0; output < output_count(vertex_at(vertex).op); ++output) {
    definitions.push_back(output_digest(key.definition, output));
  }
  auto records = options_.imports->find(definitions);
  if (!records) return false;
  for (const CacheRecord& record : *records) {
    if (!obtainable(record.layers)) return false;
  }
  const Digest name = key_of_claims(*records);
  // The first output's last: who finds it expects the others.
  for (auto output = static_cast<uint32_t>(records->size()); output-- > 0;) {
    CacheRecord& record = (*records)[output];
    record.key = output_digest(name, output);
    record.op = output_digest(key.op, output);
    put_import(vertex, record);
  }
  key.hit = result_of(vertex, records->front());
  if (!key.hit) return false;
  key.key = name;
  key.origins = {records->front().origin};
  take_record(vertex, records->front(), StepOutcome::imported, key.origins);
  return true;
}

void SolveRun::put_import(uint32_t vertex, CacheRecord& record) {
  // A cached build writes nothing.
  const auto known = cache_.find(record.key);
  if (known && known->layers == record.layers && known->inputs.size() >= record.inputs.size()) {
    return;
  }
  record.created_at = std::min(record.created_at, now_seconds());
  record.components = op_components(vertex_at(vertex));
  cache_.put(record);
}

Task<std::optional<CacheRecord>> SolveRun::find_imported_content(uint32_t vertex, VertexKey key,
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
  record->key = key_of_claims({*record});
  record->op = key.op;
  record->inputs = key.inputs;
  for (size_t i = 0; i < refs.size(); ++i) record->inputs[i].layers = refs[i].layers;
  put_import(vertex, *record);
  co_return record;
}

}  // namespace lade
