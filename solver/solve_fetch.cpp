// What a run gets from elsewhere: remote sources, and the layers of images and shared caches.
#include <algorithm>

#include "solver/solve_run.hpp"

namespace lade {

RemoteSources& SolveRun::remotes() {
  if (!options_.remotes) {
    RemoteSourceOptions options;
    options.secrets = options_.secrets;
    options.ssh_agents = options_.ssh;
    options_.remotes = std::make_shared<RemoteSources>(state_, std::move(options));
    if (canceled_) options_.remotes->cancel();
  }
  return *options_.remotes;
}

TransferProgress SolveRun::transfer_progress(uint32_t vertex) {
  // What is posted runs before the end of the transfer does, so before this run may end.
  return [this, vertex](std::string_view item, uint64_t done, uint64_t total) {
    loop_.post([this, vertex, name = std::string(item), done, total] {
      announce_started(vertex);
      progress_.status(number(vertex), name, done, total);
    });
  };
}

Task<LayerId> SolveRun::run_remote(uint32_t vertex, SourceOp op) {
  auto work = [&source = remotes(), &op, progress = transfer_progress(vertex)] {
    return source.fetch(op, progress);
  };
  co_return co_await on_thread(loop_, work);
}

Task<void> SolveRun::ensure_directories(LayerStack layers) {
  std::vector<Task<void>> fetches;
  for (const LayerId layer : state_.layers().without_directory(layers)) {
    if (!fetches_.contains(layer)) {
      LayerStack below(layers.begin(), std::find(layers.begin(), layers.end(), layer));
      fetches_[layer] = fetch_layer(layer, std::move(below));
    }
    fetches.push_back(fetches_[layer]);
    fetches.back().start();
  }
  for (const auto& fetch : fetches) co_await fetch;
}

std::shared_ptr<BlobProvider> SolveRun::source_of(LayerId layer) {
  auto provider = images_.provider_of(layer);
  if (!provider && options_.imports) provider = options_.imports->provider_of(layer);
  return provider ? provider : local_blobs(state_.content());
}

/// Blocks. `below` is what the layer lies on.
void SolveRun::unpack_layer(LayerId layer, const LayerStack& below,
                            const std::function<void(uint64_t, uint64_t)>& progress) {
  const auto make = [&](LayerId lower) {
    const auto end = std::find(below.begin(), below.end(), lower);
    unpack_layer(lower, LayerStack(below.begin(), end), nullptr);
  };
  try {
    state_.layers().ensure_directory(layer, *source_of(layer), progress, {below, make});
  } catch (const LostLayer&) {
    throw;
  } catch (const Error& error) {
    if (options_.imports && !images_.provider_of(layer)) throw LostLayer(layer, error);
    throw;
  }
}

Task<void> SolveRun::fetch_layer(LayerId layer, LayerStack below) {
  const auto from = image_vertex_.find(layer);
  const bool shown = from != image_vertex_.end();
  if (shown) announce_started(from->second);
  const auto info = state_.layers().info(layer);
  const std::string item =
      info && !info->blobs.empty() ? info->blobs.front().descriptor.digest.str() : "layer";
  auto work = [&] {
    unpack_layer(layer, below, [&](uint64_t done, uint64_t total) {
      if (shown) progress_.status(number(from->second), item, done, total);
    });
  };
  co_await on_thread(loop_, work);
  if (!shown) co_return;
  // The image is there when its last layer is.
  for (const auto& [other, vertex] : image_vertex_) {
    if (vertex == from->second && !state_.layers().has_directory(other)) co_return;
  }
  progress_.completed(number(from->second));
}

}  // namespace lade
