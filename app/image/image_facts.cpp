#include "app/image/image_facts.hpp"

#include <ctime>

#include <fmt/format.h>

#include "app/ui/listing.hpp"
#include "base/error.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/gc/gc.hpp"

namespace lade {

std::string docker_time(const Timestamp& time) {
  const time_t seconds = time.seconds;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &parts);
  return text;
}

std::string time_ago(const std::optional<Timestamp>& time) {
  if (!time) return "N/A";
  return human_duration(Timestamp::now().seconds - time->seconds) + " ago";
}

uint64_t layer_size(StateDir& state, const DiffId& diff_id, const Descriptor& blob) {
  if (const auto layer = state.layers().find(diff_id)) {
    try {
      return state.layers().index(*layer)->total_size();
    } catch (const Error&) {
      // Not unpacked, or not any more.
    }
  }
  return former_layer_size(state, diff_id).value_or(blob.size);
}

uint64_t image_size(StateDir& state, const StoredManifest& manifest) {
  const auto& layers = manifest.manifest.layers;
  const auto& diff_ids = manifest.config.diff_ids;
  uint64_t size = 0;
  for (size_t i = 0; i < layers.size() && i < diff_ids.size(); ++i) {
    size += layer_size(state, diff_ids[i], layers[i]);
  }
  return size;
}

ShownName shown_name(const std::string& name) {
  if (is_unnamed(name)) return {};
  std::string familiar = name;
  try {
    familiar = Reference::parse(name).familiar();
  } catch (const Error&) {
    // A damaged database may hold any: it is shown as it is, so that its image can be removed.
  }
  const auto colon = familiar.rfind(':');
  if (colon == std::string::npos) return {familiar, "<none>"};
  return {familiar.substr(0, colon), familiar.substr(colon + 1)};
}

std::string shown_id(const Digest& digest, bool whole) {
  return whole ? digest.str() : digest.hex().substr(0, 12);
}

}  // namespace lade
