// complete_image(): an image that was kept without blobs gets them.

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "exporter/exporter.hpp"
#include "exporter/layer_blob.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxDocument = 4u << 20;
constexpr uint64_t kMaxConfig = 8u << 20;

}  // namespace

Descriptor complete_image(StateDir& state, const Descriptor& target) {
  if (media_type::is_index(target.media_type)) return target;
  ContentStore& content = state.content();
  Manifest manifest =
      Manifest::parse(content.read_blob(target.digest, kMaxDocument), target.media_type);
  const auto config = ImageConfig::parse(content.read_blob(manifest.config.digest, kMaxConfig));
  const LayerStack layers =
      state.layers().add_image(target.digest.str(), config.diff_ids, manifest.layers);
  std::vector<size_t> missing;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (is_only_described(state, layers[i], manifest.layers[i])) missing.push_back(i);
  }
  if (missing.empty()) return target;
  parallel_for(0, missing.size(), [&](size_t at) {
    const size_t i = missing[at];
    const MadeBlob made = make_layer_blob(state, layers[i], {}, {});
    if (made.diff_id != config.diff_ids[i]) {
      throw Error("the layer " + config.diff_ids[i].digest.str() + " has changed since",
                  ErrorKind::corrupt);
    }
    manifest.layers[i] = made.descriptor;
  });
  Descriptor out = content.put(manifest.serialize(), target.media_type);
  out.platform = target.platform;
  out.annotations = target.annotations;
  return out;
}

}  // namespace lade
