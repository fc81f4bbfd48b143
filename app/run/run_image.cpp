#include "app/run/run_image.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "exporter/fetchers.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/images/stored_image.hpp"

namespace lade {
namespace {

struct FoundImage {
  ImageConfig config;
  LayerStack layers;
  std::shared_ptr<BlobProvider> provider;
};

/// By any of its names, digests and IDs; nothing if it is not here.
std::optional<FoundImage> find_here(StateDir& state, ImageSources& images,
                                    const RunRequest& request) {
  std::optional<StoredImage> image;
  try {
    image = find_stored_image(state.images(), state.content(), request.image);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return std::nullopt;
  }
  // What builds alone know of becomes an image of this machine when it is run, as if pulled.
  const auto called = name_called(*image, request.image);
  if (called && !state.images().find(*called)) return std::nullopt;
  const Platform platform = request.platform.value_or(Platform::host());
  const auto* manifest = image->for_platform(platform);
  if (!manifest) return std::nullopt;
  const Platform has = manifest->config.platform.normalized();
  if (request.platform && !platform.accepts(has)) {
    throw Error(fmt::format("{} is here for {}, not for {}", lade::quoted(request.image), has.str(),
                            platform.str()),
                ErrorKind::not_found);
  }
  LayerStack layers = state.layers().add_image(
      lade::quoted(request.image), manifest->config.diff_ids, manifest->manifest.layers);
  const auto named = std::find_if(image->names.begin(), image->names.end(),
                                  [](const ImageName& name) { return !is_unnamed(name.name); });
  auto blobs = named == image->names.end() ? local_blobs(state.content())
                                           : images.blobs_of(Reference::parse(named->name));
  return FoundImage{manifest->config, std::move(layers), std::move(blobs)};
}

FoundImage find_elsewhere(StateDir& state, ImageSources& images, const RunRequest& request) {
  const Reference reference = Reference::parse(request.image);
  if (request.pull != PullPolicy::never) {
    fmt::print(stderr, "Unable to find image '{}' locally\n", reference.familiar());
  }
  const BaseImage base = images.resolve("docker-image://" + reference.str(),
                                        request.platform.value_or(Platform::host()));
  const ResolvedImage resolved = images.resolved(base.identifier);
  // What was pulled is an image of this machine, as with docker.
  if (const auto target = state.images().resolution(reference.str()); target && !reference.digest) {
    state.images().put(reference.str(), *target);
  }
  return {base.config, resolved.layers, resolved.provider};
}

void fetch_layers(StateDir& state, const FoundImage& image) {
  std::vector<size_t> missing;
  for (size_t i = 0; i < image.layers.size(); ++i) {
    if (!state.layers().has_directory(image.layers[i])) missing.push_back(i);
  }
  if (missing.empty()) return;
  Fetchers fetchers(missing.size(), [&](size_t number) {
    const size_t i = missing[number];
    const LayerStack below(image.layers.begin(), image.layers.begin() + static_cast<ptrdiff_t>(i));
    state.layers().ensure_directory(image.layers[i], *image.provider, nullptr, below);
  });
  fetchers.join();
}

}  // namespace

RunImage find_run_image(StateDir& state, const RunRequest& request) {
  ImageSources images(state, {.pull = request.pull, .client_directory = sys::current_directory()});
  std::optional<FoundImage> found;
  const bool asks = request.pull == PullPolicy::always || request.pull == PullPolicy::newer;
  if (!asks) found = find_here(state, images, request);
  if (!found) found = find_elsewhere(state, images, request);
  const Platform platform = found->config.platform.normalized();
  if (!request.platform && !Platform::host().accepts(platform)) {
    fmt::print(stderr,
               "WARNING: the image's platform ({}) is not this machine's ({}), and none was asked "
               "for\n",
               platform.str(), Platform::host().str());
  }
  fetch_layers(state, *found);
  state.layers().note_used(found->layers);
  return {std::move(found->config), std::move(found->layers)};
}

}  // namespace lade
