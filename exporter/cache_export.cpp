#include "exporter/cache_export.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/wire.hpp"
#include "exporter/layer_blob.hpp"
#include "exporter/mount_blob.hpp"
#include "exporter/stack_table.hpp"

namespace lade {
namespace {

/// Lists all blobs, once each.
Manifest manifest_of(const CacheDocument& document, const Descriptor& config) {
  Manifest manifest;
  manifest.media_type = media_type::kOciManifest;
  manifest.config = config;
  std::set<Digest> listed;
  const auto list = [&](const Descriptor& blob) {
    if (listed.insert(blob.digest).second) manifest.layers.push_back(blob);
  };
  for (const auto& layer : document.layers) {
    if (layer.blob) list(*layer.blob);
  }
  for (const auto& mount : document.mounts) list(mount.blob);
  return manifest;
}

}  // namespace

std::optional<SharedRecord> shareable(const SharedRecord& record,
                                      const std::function<bool(const std::string&)>& goes_back) {
  if (std::all_of(record.origins.begin(), record.origins.end(), goes_back)) return record;
  if (record.imported || !record.has_known_inputs) return std::nullopt;
  SharedRecord out = record;
  WireWriter writer;
  writer.text("lade content record 1").digest(record.op);
  writer.list(record.inputs, [](WireWriter& each, const Digest& input) { each.digest(input); });
  out.key = Digest::of(writer.str());
  return out;
}

LeftOut left_out(const std::vector<SharedRecord>& records, bool all_steps,
                 const std::function<bool(const std::string&)>& goes_back) {
  LeftOut out;
  for (const auto& record : records) {
    if ((!all_steps && !record.of_result) || shareable(record, goes_back)) continue;
    ++out.steps;
    for (const auto& origin : record.origins) {
      if (!goes_back(origin)) out.origins.insert(origin);
    }
  }
  return out;
}

CacheExport::CacheExport(StateDir& state, CacheExportOptions options,
                         std::shared_ptr<CacheStorage> storage, LayerProvider provider,
                         std::function<bool(LayerId)> is_base)
    : state_(state),
      options_(std::move(options)),
      storage_(std::move(storage)),
      provider_(std::move(provider)),
      is_base_(std::move(is_base)) {}

CacheExport::~CacheExport() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void CacheExport::layer_made(LayerId layer) {
  {
    const std::lock_guard lock(mutex_);
    if (!queued_.insert(layer).second) return;
    queue_.push_back(layer);
    if (threads_.size() < options_.threads &&
        threads_.size() < queue_.size() + static_cast<size_t>(busy_)) {
      threads_.emplace_back([this] { work(); });
    }
  }
  changed_.notify_one();
}

void CacheExport::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const LayerId layer = queue_.front();
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      send(layer);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --busy_;
    if (failure && !failure_) failure_ = failure;
    changed_.notify_all();
  }
}

/// The layer's blob as the cache has it; made, but not fetched: what is somebody else's is promised
/// by its descriptor.
Descriptor CacheExport::blob_of(LayerId layer) {
  const LayerPlan plan =
      plan_layer(state_, layer, BlobRequest{.compression = options_.compression, .clamp = {}});
  if (plan.way == BlobWay::use) {
    Descriptor blob = *plan.source;
    blob.media_type = layer_media_type(blob.media_type, true);
    blob.annotations.clear();
    return blob;
  }
  fetch_for(state_, plan, provider_);
  Descriptor blob = carry_out(state_, plan).descriptor;
  blob.annotations.clear();
  return blob;
}

Descriptor CacheExport::send(LayerId layer) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = sent_.find(layer); known != sent_.end()) return known->second;
  }
  const Descriptor blob = blob_of(layer);
  if (!storage_->has_blob(blob)) {
    with_context([&] { return "cache " + options_.name; },
                 [&] {
                   const auto source = blob_provider(state_, layer, provider_);
                   state_.layers().ensure_layer_blob(layer, blob, *source);
                   storage_->write_blob(blob, *local_blobs(state_.content()));
                 });
  }
  const std::lock_guard lock(mutex_);
  return sent_[layer] = blob;
}

std::optional<SharedRecord> CacheExport::wanted(const SharedRecord& record) const {
  if (!options_.all_steps && !record.of_result) return std::nullopt;
  return shareable(record, [&](const std::string& origin) { return goes_back(origin); });
}

/// Makes and sends the blobs that it names unless that was done.
CacheDocument CacheExport::document(const std::vector<SharedRecord>& records) {
  CacheDocument document;
  StackTable stacks(document, [&](LayerId layer) {
    CacheDocument::Layer described;
    const bool base = is_base_(layer);
    if (!base) described.blob = send(layer);
    const auto info = state_.layers().info(layer);
    if (!info || !info->diff_id) throw Error(fmt::format("layer {} is gone", layer));
    described.diff_id = *info->diff_id;
    described.content = state_.layers().content_digest(layer);
    return described;
  });
  for (const SharedRecord& each : records) {
    const auto record = wanted(each);
    if (!record) continue;
    CacheDocument::Record out;
    out.key = record->key;
    out.op = record->op;
    out.inputs = record->inputs;
    out.created_at = record->created_at;
    out.top = stacks.add(record->layers);
    document.records.push_back(std::move(out));
  }
  return document;
}

/// The mount's tree as it lies here; what this cache has of it already, if nothing is here or
/// nothing has changed. nullopt: nobody has it.
std::optional<Descriptor> CacheExport::send_mount(const SharedMount& mount,
                                                  const Progress& progress) {
  const Digest& id = mount.name;
  auto known = options_.known_mount ? options_.known_mount(id) : std::nullopt;
  if (known && !storage_->has_blob(*known)) known.reset();
  CacheMountDirectory directory(state_.root(), id);
  const auto restored =
      !directory.exists() && options_.restored_mount ? options_.restored_mount(id) : std::nullopt;
  if (restored) {
    directory = CacheMountDirectory(state_.root(), restored_mount(id, restored->digest));
  }
  if ((known && !mount.used) || !directory.exists()) return known;
  // Not while anybody writes to it.
  const auto lock = lock_mount(directory, options_.mount_patience);
  if (!lock) {
    progress(
        fmt::format("other builds use the cache mount {}: it stays as it was", quoted(mount.id)));
    return known;
  }
  const Descriptor blob = make_mount_blob(state_, directory, options_.compression);
  const bool is_new = !storage_->has_blob(blob);
  progress(fmt::format("{} cache mount {} ({:.2f} MB)", is_new ? "writing" : "keeping",
                       quoted(mount.id), static_cast<double>(blob.size) / 1e6));
  if (is_new) storage_->write_blob(blob, *local_blobs(state_.content()));
  // What lies here is what the cache has from now on.
  if (restored && restored == known) {
    directory.hand_over(CacheMountDirectory(state_.root(), restored_mount(id, blob.digest)));
  }
  // The tree itself is here.
  if (!state_.layers().knows_blob(blob.digest)) state_.content().remove(blob.digest);
  return blob;
}

void CacheExport::add_mounts(CacheDocument& document, const std::vector<SharedMount>& mounts,
                             const Progress& progress) {
  for (const SharedMount& mount : mounts) {
    with_context([&] { return "cache mount " + quoted(mount.id); },
                 [&] {
                   if (const auto blob = send_mount(mount, progress)) {
                     document.mounts.push_back({mount.name, *blob});
                   }
                 });
  }
}

void CacheExport::finish(const std::vector<SharedRecord>& records,
                         const std::vector<SharedMount>& mounts,
                         const std::function<void(const std::string&)>& progress) {
  for (const SharedRecord& record : records) {
    if (!wanted(record)) continue;
    for (const LayerId layer : record.layers) {
      if (!is_base_(layer)) layer_made(layer);
    }
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || (queue_.empty() && busy_ == 0); });
    if (failure_) std::rethrow_exception(failure_);
  }
  CacheDocument cache = document(records);
  if (options_.mounts) add_mounts(cache, mounts, progress);
  const std::string text = cache.serialize();
  const Descriptor config = state_.content().put(text, media_type::kCacheDocument);
  if (!storage_->has_blob(config)) storage_->write_blob(config, *local_blobs(state_.content()));
  const Manifest manifest = manifest_of(cache, config);
  for (const auto& layer : manifest.layers) progress("writing layer " + layer.digest.str());
  const std::string bytes = manifest.serialize();
  Descriptor descriptor;
  descriptor.media_type = manifest.media_type;
  descriptor.digest = Digest::of(bytes);
  descriptor.size = bytes.size();
  storage_->write_manifest(descriptor, bytes);
  progress("writing cache manifest " + descriptor.digest.str());
}

}  // namespace lade
