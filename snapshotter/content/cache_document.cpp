#include "snapshotter/content/cache_document.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "snapshotter/content/json_reader.hpp"
#include "snapshotter/content/json_writer.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxBytes = 32u << 20;
constexpr size_t kMaxEntries = 200'000;
constexpr int64_t kVersion = 1;

/// An index into `count` entries; absent if the field is.
std::optional<uint32_t> read_index(const JsonValue& json, size_t count) {
  if (!json.present()) return std::nullopt;
  const int64_t index = json.integer();
  if (index < 0 || static_cast<uint64_t>(index) >= count) {
    json.fail(fmt::format("is {}, but only {} layers come before it", index, count));
  }
  return static_cast<uint32_t>(index);
}

CacheDocument::Layer read_layer(const JsonValue& json, size_t before) {
  CacheDocument::Layer layer;
  layer.parent = read_index(json["parent"], before);
  layer.diff_id = DiffId{json["diffID"].digest()};
  layer.content = json["content"].digest();
  if (const JsonValue blob = json["blob"]; blob.present()) {
    layer.blob = read_descriptor(blob);
    if (!media_type::is_layer(layer.blob->media_type)) {
      blob["mediaType"].fail("is " + quoted(layer.blob->media_type) + ", which is no layer");
    }
  }
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
  return record;
}

template <class Entry>
void check_count(const JsonValue& list, const std::vector<Entry>& entries) {
  if (entries.size() == kMaxEntries)
    list.fail(fmt::format("has more than {} entries", kMaxEntries));
}

}  // namespace

CacheDocument CacheDocument::parse(std::string_view bytes) {
  const JsonDocument json(bytes, kMaxBytes, "cache document");
  const JsonValue root = json.root();
  if (const int64_t version = root["version"].integer(); version != kVersion) {
    throw Error(fmt::format("the cache has format {}, this lade reads {}", version, kVersion));
  }
  CacheDocument out;
  const JsonValue layers = root["layers"];
  layers.each([&](const JsonValue& layer) {
    check_count(layers, out.layers);
    out.layers.push_back(read_layer(layer, out.layers.size()));
  });
  const JsonValue records = root["records"];
  records.each([&](const JsonValue& record) {
    check_count(records, out.records);
    out.records.push_back(read_record(record, out.layers.size()));
  });
  return out;
}

std::string CacheDocument::serialize() const {
  JsonWriter out;
  out.begin_object().member("version", kVersion).key("layers").begin_array();
  for (const Layer& layer : layers) {
    out.begin_object();
    if (layer.parent) out.member("parent", static_cast<int64_t>(*layer.parent));
    out.member("diffID", layer.diff_id.digest.str()).member("content", layer.content.str());
    if (layer.blob) write_json(out.key("blob"), *layer.blob);
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
  out.end_array().end_object();
  return out.take();
}

}  // namespace lade
