#include "snapshotter/content/descriptor.hpp"

#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"

namespace lade {

namespace media_type {

bool is_manifest(std::string_view type) {
  return type == kOciManifest || type == kDockerManifest;
}

bool is_index(std::string_view type) {
  return type == kOciIndex || type == kDockerIndex;
}

bool is_layer(std::string_view type) {
  return type.starts_with(kOciLayer) || type.starts_with(kDockerLayer) ||
         type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar") ||
         type.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar");
}

}  // namespace media_type

void write_json(JsonWriter& out, const Descriptor& descriptor) {
  out.begin_object()
      .member("mediaType", descriptor.media_type)
      .member("digest", descriptor.digest.str())
      .member("size", descriptor.size)
      .member_unless_empty("urls", descriptor.urls)
      .member_unless_empty("annotations", descriptor.annotations);
  if (descriptor.platform) {
    const Platform& platform = *descriptor.platform;
    out.key("platform")
        .begin_object()
        .member("architecture", platform.architecture)
        .member("os", platform.os)
        .member_unless_empty("os.version", platform.os_version)
        .member_unless_empty("os.features", platform.os_features)
        .member_unless_empty("variant", platform.variant)
        .end_object();
  }
  out.member_unless_empty("artifactType", descriptor.artifact_type).end_object();
}

Descriptor read_descriptor(const JsonValue& json) {
  Descriptor out;
  out.media_type = json["mediaType"].string_or_empty();
  out.digest = json["digest"].digest();
  out.size = json["size"].size();
  out.urls = json["urls"].strings();
  out.annotations = json["annotations"].string_map();
  if (const JsonValue platform = json["platform"]; platform.present()) {
    out.platform = read_platform(platform);
  }
  out.artifact_type = json["artifactType"].string_or_empty();
  return out;
}

Platform read_platform(const JsonValue& json) {
  Platform out;
  out.os = json["os"].string_or_empty();
  out.architecture = json["architecture"].string_or_empty();
  out.variant = json["variant"].string_or_empty();
  out.os_version = json["os.version"].string_or_empty();
  out.os_features = json["os.features"].strings();
  return out;
}

}  // namespace lade
