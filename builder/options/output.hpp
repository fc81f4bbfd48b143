// --output: where a build's result goes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "builder/options/annotations.hpp"
#include "exporter/exporter.hpp"

namespace lade {

enum class OutputType { image, oci, docker, local, tar };

struct Output {
  OutputType type = OutputType::image;
  std::string dest;                ///< "-" is standard output (oci, docker, tar)
  bool load = false;               ///< docker: into a running Docker or podman instead
  std::vector<std::string> names;  ///< name=
  bool as_tar = true;              ///< oci: tar=false writes a layout directory
  // image:
  bool push = false;            ///< to the registries that the names say
  bool push_by_digest = false;  ///< without tags
  bool insecure = false;        ///< plain http and unverified certificates will do
  /// Names on this machine are given it; by default unless it is pushed as type=registry.
  std::optional<bool> store;
  bool keeps_names() const { return type == OutputType::image && store.value_or(true); }
  /// local, tar: a directory per platform; by default if there is more than one.
  std::optional<bool> platform_split;
  ImageOptions image;
  Annotations annotations;
  // Attestations:
  bool oci_artifact = true;  ///< their manifests are artifacts about the image
  /// Those that are for images alone make an index of a single one; by default of type=image.
  std::optional<bool> attestation_inline;
  std::string attestation_prefix;  ///< local, tar: of file names
};

/// "gzip", "zstd", "uncompressed"; nullopt for anything else.
std::optional<LayerCompression> compression_named(const std::string& text);

/// Parses "type=oci,dest=x.tar,compression=zstd,...", or a bare path (type=local; "-" is type=tar).
/// Without dest, an archive (oci, tar) goes to standard output. CSV with quotes, as docker's.
/// Throws Error(usage) naming the unknown key or bad value.
Output parse_output(const std::string& text);

/// The same of a type and attributes, as clients of the daemon send them; where files go is the
/// client's to say; what is pushed has a name here with store=true only. Throws Error(usage).
Output output_of(const std::string& type, const std::map<std::string, std::string>& attributes);

/// Whether an image's name has a tag (or, as in "host:5000/app:1@sha256:...", more).
bool has_tag(const std::string& name);

}  // namespace lade
