#include "app/image/archived.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "exporter/image_documents.hpp"

namespace lade {
namespace {

bool is_whole(StateDir& state, const StoredManifest& image) {
  const auto& layers = image.manifest.layers;
  return std::all_of(layers.begin(), layers.end(),
                     [&](const Descriptor& layer) { return state.content().has(layer.digest); });
}

}  // namespace

ArchivedImage archived_image(StateDir& state, const StoredImage& image,
                             std::vector<std::string> names) {
  ArchivedImage out;
  out.names = std::move(names);
  out.image.target = image.target;
  out.image.target.annotations.clear();
  if (image.index) out.image.index = image.target.digest;
  for (const auto& one : image.manifests) {
    // Known layers are pinned, and with them their blobs.
    for (size_t i = 0; i < one.manifest.layers.size() && i < one.config.diff_ids.size(); ++i) {
      const auto layer = state.layers().find(one.config.diff_ids[i], one.manifest.layers[i].digest);
      if (layer) state.layers().exists({*layer});
    }
    if (!is_whole(state, one)) continue;
    out.image.images.push_back(
        {one.descriptor, one.manifest.config, one.manifest.layers, one.config});
  }
  if (out.image.images.empty()) {
    Error error("the layers of the image " + image.id().str() + " are not on this machine",
                ErrorKind::not_found);
    error.set_hint("bring them here with lade pull, from where it was pushed to");
    throw error;
  }
  if (!image.index) {
    out.image.target.platform = out.image.images.front().parsed_config.platform;
    return out;
  }
  std::set<Digest> listed;
  for (const auto& blob : all_blobs(out.image)) listed.insert(blob.digest);
  visit_image_blobs(state.content(), image.target, [&](const Descriptor& blob) {
    const auto size = state.content().size(blob.digest);
    if (size == blob.size && listed.insert(blob.digest).second) out.others.push_back(blob);
  });
  return out;
}

}  // namespace lade
