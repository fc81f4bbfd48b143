#include "snapshotter/content/cache_document.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"
#include "snapshotter/content/manifest.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxDocument = 32u << 20;
constexpr size_t kMaxDocumentEntries = 200'000;
constexpr size_t kMaxStackDepth = 20'000;  // of layers upon each other
constexpr int64_t kVersion = 1;
constexpr int64_t kLastSecond = 253'402'300'799;  // of the year 9999

/// An index into `count` entries; absent if the field is.
std::optional<uint32_t> read_index(const JsonValue& json, size_t count) {
  if (!json.present()) return std::nullopt;
  const int64_t index = json.integer();
  if (index < 0 || static_cast<uint64_t>(index) >= count) {
    json.fail(fmt::format("is {}, but there are only {} layers that it may mean", index, count));
  }
  return static_cast<uint32_t>(index);
}

/// What counts of a layer's blob. Where else it might be had and what people noted about it is
/// nothing that a cache has a say in: it would go into images.
Descriptor layer_blob(const Descriptor& said, const JsonValue& where) {
  if (!media_type::is_layer(said.media_type)) {
    where.fail("is " + quoted(said.media_type) + ", which is not a layer");
  }
  Descriptor blob;
  blob.media_type = said.media_type;
  blob.digest = said.digest;
  blob.size = said.size;
  return blob;
}

CacheDocument::Layer read_layer(const JsonValue& json, const std::vector<size_t>& depths) {
  CacheDocument::Layer layer;
  layer.parent = read_index(json["parent"], depths.size());
  if (layer.parent && depths[*layer.parent] == kMaxStackDepth) {
    json["parent"].fail(fmt::format("has {} layers below it", kMaxStackDepth - 1));
  }
  layer.diff_id = DiffId{json["diffID"].digest()};
  layer.content = json["content"].digest();
  if (const JsonValue blob = json["blob"]; blob.present()) {
    layer.blob = layer_blob(read_descriptor(blob), blob["mediaType"]);
  }
  layer.position = read_index(json["position"], kMaxDocumentEntries);
  return layer;
}

CacheDocument::Record read_record(const JsonValue& json, size_t layers) {
  CacheDocument::Record record;
  record.key = json["key"].digest();
  record.op = json["op"].digest();
  json["inputs"].each([&](const JsonValue& input) {
    record.inputs.push_back(input.string_or_empty().empty() ? Digest() : input.digest());
  });
  record.top = read_index(json["top"], layers);
  record.created_at = json["created"].integer();
  if (record.created_at < 0 || record.created_at > kLastSecond) {
    json["created"].fail("is not a time since 1970");
  }
  return record;
}

CacheDocument::Mount read_mount(const JsonValue& json) {
  return {json["id"].digest(),
          layer_blob(read_descriptor(json["blob"]), json["blob"]["mediaType"])};
}

template <class Entry>
void check_count(const JsonValue& list, const std::vector<Entry>& entries) {
  if (entries.size() == kMaxDocumentEntries)
    list.fail(fmt::format("has more than {} entries", kMaxDocumentEntries));
}

CacheDocument read_document(const JsonValue& root) {
  if (const int64_t version = root["version"].integer(); version != kVersion) {
    throw Error(fmt::format("the cache has format {}, this lade reads {}", version, kVersion));
  }
  CacheDocument out;
  const JsonValue layers = root["layers"];
  std::vector<size_t> depths;
  layers.each([&](const JsonValue& layer) {
    check_count(layers, out.layers);
    out.layers.push_back(read_layer(layer, depths));
    const auto& parent = out.layers.back().parent;
    depths.push_back(parent ? depths[*parent] + 1 : 1);
  });
  const JsonValue records = root["records"];
  records.each([&](const JsonValue& record) {
    check_count(records, out.records);
    out.records.push_back(read_record(record, out.layers.size()));
  });
  const JsonValue mounts = root["mounts"];
  mounts.each([&](const JsonValue& mount) {
    check_count(mounts, out.mounts);
    out.mounts.push_back(read_mount(mount));
  });
  return out;
}

}  // namespace

CacheDocument CacheDocument::parse(std::string_view bytes) {
  const JsonDocument json(bytes, kMaxDocument, "cache document");
  return read_document(json.root());
}

std::string CacheDocument::serialize() const {
  JsonWriter out;
  out.begin_object().member("version", kVersion).key("layers").begin_array();
  for (const Layer& layer : layers) {
    out.begin_object();
    if (layer.parent) out.member("parent", static_cast<int64_t>(*layer.parent));
    out.member("diffID", layer.diff_id.digest.str()).member("content", layer.content.str());
    if (layer.blob) write_json(out.key("blob"), *layer.blob);
    if (layer.position) out.member("position", static_cast<int64_t>(*layer.position));
    out.end_object();
  }
  out.end_array().key("records").begin_array();
  for (const Record& record : records) {
    out.begin_object().member("key", record.key.str()).member("op", record.op.str());
    out.key("inputs").begin_array();
    for (const Digest& input : record.inputs) out.value(input.empty() ? "" : input.str());
    out.end_array();
    if (record.top) out.member("top", static_cast<int64_t>(*record.top));
    out.member("created", record.created_at).end_object();
  }
  out.end_array();
  if (!mounts.empty()) {
    out.key("mounts").begin_array();
    for (const Mount& mount : mounts) {
      out.begin_object().member("id", mount.id.str());
      write_json(out.key("blob"), mount.blob);
      out.end_object();
    }
    out.end_array();
  }
  return out.end_object().take();
}

void CacheDocument::append(CacheDocument other) {
  const auto before = static_cast<uint32_t>(layers.size());
  for (Layer& layer : other.layers) {
    if (layer.parent) *layer.parent += before;
  }
  for (Record& record : other.records) {
    if (record.top) *record.top += before;
  }
  std::move(other.layers.begin(), other.layers.end(), std::back_inserter(layers));
  std::move(other.records.begin(), other.records.end(), std::back_inserter(records));
  std::move(other.mounts.begin(), other.mounts.end(), std::back_inserter(mounts));
}

std::string with_inline_cache(std::string config, const CacheDocument& cache) {
  // The config is an object that is not empty; its members are sorted, this one comes last.
  config.pop_back();
  return fmt::format("{},\"{}\":{}}}", config, kInlineCacheMember, cache.serialize());
}

std::optional<CacheDocument> read_inline_cache(std::string_view config, const Manifest& manifest) {
  const JsonDocument json(config, kMaxDocument, "image config");
  const JsonValue cache = json.root()[kInlineCacheMember];
  if (!cache.present()) return std::nullopt;
  CacheDocument out = read_document(cache);
  std::vector<Digest> diff_ids;
  json.root()["rootfs"]["diff_ids"].each(
      [&](const JsonValue& id) { diff_ids.push_back(id.digest()); });
  for (CacheDocument::Layer& layer : out.layers) {
    if (!layer.position) continue;
    const uint32_t position = *layer.position;
    if (position >= std::min(diff_ids.size(), manifest.layers.size()) ||
        diff_ids[position] != layer.diff_id.digest) {
      cache.fail(fmt::format("calls {} layer {} of the image, which it is not",
                             layer.diff_id.digest.str(), position));
    }
    layer.blob = layer_blob(manifest.layers[position], cache);
    layer.position.reset();
  }
  return out;
}

}  // namespace lade
