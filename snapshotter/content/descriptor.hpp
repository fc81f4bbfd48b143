// Descriptors, media types and platforms (OCI image-spec: descriptor.md, media-types.md,
// image-index.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"

namespace lade {

class JsonValue;
class JsonWriter;

namespace media_type {
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";

bool is_manifest(std::string_view type);
bool is_index(std::string_view type);
/// Any layer of a tar, also the non-distributable ones that old Windows images have.
bool is_layer(std::string_view type);
}  // namespace media_type

/// os/arch[/variant], normalised as containerd does ("x86_64" -> amd64, "aarch64" -> arm64, "arm"
/// -> v7, "arm64/v8" -> arm64).
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version;
  std::vector<std::string> os_features;

  /// "linux/arm64", "arm64", "linux", "linux/arm/v7", "windows(10.0.17763)/amd64"; what is missing
  /// is the host's. Throws Error.
  static Platform parse(std::string_view text);
  static Platform host();
  /// The canonical spelling of what an image or an index says.
  Platform normalized() const;
  std::string str() const;  ///< "linux/arm/v7"
  /// True if an image for `other` runs on this platform, by containerd's rule (`platforms.Only`):
  /// the same, or an older variant, or the 32-bit form (arm on arm64, 386 on amd64).
  bool accepts(const Platform& other) const { return rank(other).has_value(); }
  /// How far `other` is from the best image for this platform: 0 is exact; nullopt if it does not
  /// run.
  std::optional<size_t> rank(const Platform& other) const;
  bool operator==(const Platform&) const = default;
};

/// What a blob is and how to check it.
struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::map<std::string, std::string> annotations;
  std::optional<Platform> platform;
  std::string artifact_type;
  std::vector<std::string> urls;  ///< where else the blob may be had (foreign layers)

  bool operator==(const Descriptor&) const = default;
};

/// The next value of `out`, fields in the order of image-spec's Go structs.
void write_json(JsonWriter& out, const Descriptor& descriptor);
/// Throws Error(corrupt) with the field's name.
Descriptor read_descriptor(const JsonValue& json);
/// The fields of `platform` that an image config and a descriptor share. Spelt as written there.
Platform read_platform(const JsonValue& json);

}  // namespace lade
