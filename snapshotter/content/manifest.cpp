#include "snapshotter/content/manifest.hpp"

#include <limits>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxManifest = 4u << 20;
constexpr size_t kMaxEntries = 10'000;
constexpr int64_t kSchemaVersion = 2;

/// The document's own media type, or what it was announced as (a registry's Content-Type, the
/// descriptor that led here). As with containerd, the two need not agree on whose format it is,
/// Docker's or OCI's, but on what it is: a document that is a manifest to one reader and an index
/// to another is how CVE-2021-41190 hid images.
std::string checked_media_type(const JsonValue& root, std::string_view announced,
                               bool (*expected)(std::string_view), std::string_view what) {
  const JsonValue schema = root["schemaVersion"];
  if (const int64_t version = schema.integer(); version != kSchemaVersion) {
    schema.fail(fmt::format("is {}, only {} is supported", version, kSchemaVersion));
  }
  const JsonValue field = root["mediaType"];
  const std::string own = field.string_or_empty();
  const bool known = media_type::is_manifest(own) || media_type::is_index(own);
  if (known && !expected(own) && expected(announced)) {
    field.fail(fmt::format("is {}, which is no {}, but it was announced as {}", quoted(own), what,
                           quoted(announced)));
  }
  const bool own_counts = expected(own) || announced.empty();
  const std::string type = own_counts ? own : std::string(announced);
  if (!expected(type)) field.fail(fmt::format("is {}, which is no {}", quoted(type), what));
  return type;
}

std::vector<Descriptor> read_descriptors(const JsonValue& list) {
  std::vector<Descriptor> out;
  list.each([&](const JsonValue& entry) {
    if (out.size() == kMaxEntries) list.fail(fmt::format("has more than {} entries", kMaxEntries));
    out.push_back(read_descriptor(entry));
  });
  return out;
}

std::optional<Descriptor> read_optional_descriptor(const JsonValue& value) {
  if (!value.present()) return std::nullopt;
  return read_descriptor(value);
}

void write_descriptors(JsonWriter& out, std::string_view key, const std::vector<Descriptor>& list) {
  out.key(key).begin_array();
  for (const auto& descriptor : list) write_json(out, descriptor);
  out.end_array();
}

void write_head(JsonWriter& out, const std::string& media_type, const std::string& artifact_type) {
  out.begin_object()
      .member("schemaVersion", kSchemaVersion)
      .member_unless_empty("mediaType", media_type)
      .member_unless_empty("artifactType", artifact_type);
}

void write_tail(JsonWriter& out, const std::optional<Descriptor>& subject,
                const std::map<std::string, std::string>& annotations) {
  if (subject) write_json(out.key("subject"), *subject);
  out.member_unless_empty("annotations", annotations).end_object();
}

/// BuildKit lists the SBOM and provenance of an image beside it, under no platform.
bool is_attestation(const Descriptor& entry) {
  return (entry.platform && entry.platform->os == "unknown") ||
         entry.annotations.contains("vnd.docker.reference.type");
}

}  // namespace

Manifest Manifest::parse(std::string_view bytes, std::string_view media_type) {
  const JsonDocument document(bytes, kMaxManifest, "image manifest");
  const JsonValue root = document.root();
  Manifest out;
  out.media_type = checked_media_type(root, media_type, media_type::is_manifest, "image manifest");
  if (root["manifests"].present()) root["manifests"].fail("belongs to an index, not to a manifest");
  out.config = read_descriptor(root["config"]);
  out.layers = read_descriptors(root["layers"]);
  out.annotations = root["annotations"].string_map();
  out.subject = read_optional_descriptor(root["subject"]);
  out.artifact_type = root["artifactType"].string_or_empty();
  return out;
}

std::string Manifest::serialize() const {
  JsonWriter out(JsonWriter::Style::indented);
  write_head(out, media_type, artifact_type);
  write_json(out.key("config"), config);
  write_descriptors(out, "layers", layers);
  write_tail(out, subject, annotations);
  return out.take();
}

Index Index::parse(std::string_view bytes, std::string_view media_type) {
  const JsonDocument document(bytes, kMaxManifest, "image index");
  const JsonValue root = document.root();
  Index out;
  out.media_type = checked_media_type(root, media_type, media_type::is_index, "image index");
  for (const auto* key : {"config", "layers"}) {
    if (root[key].present()) root[key].fail("belongs to a manifest, not to an index");
  }
  out.manifests = read_descriptors(root["manifests"]);
  out.annotations = root["annotations"].string_map();
  out.artifact_type = root["artifactType"].string_or_empty();
  out.subject = read_optional_descriptor(root["subject"]);
  return out;
}

std::string Index::serialize() const {
  JsonWriter out(JsonWriter::Style::indented);
  write_head(out, media_type, artifact_type);
  write_descriptors(out, "manifests", manifests);
  write_tail(out, subject, annotations);
  return out.take();
}

const Descriptor* Index::select(const Platform& platform) const {
  constexpr size_t kNever = std::numeric_limits<size_t>::max();
  constexpr size_t kWithoutPlatform = kNever - 1;
  const Descriptor* best = nullptr;
  size_t best_rank = kNever;
  for (const auto& entry : manifests) {
    if (is_attestation(entry)) continue;
    const size_t rank =
        entry.platform ? platform.rank(*entry.platform).value_or(kNever) : kWithoutPlatform;
    if (rank < best_rank) {
      best = &entry;
      best_rank = rank;
    }
  }
  return best;
}

}  // namespace lade
