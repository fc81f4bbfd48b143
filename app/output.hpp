// --output: where a build's result goes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/annotations.hpp"
#include "exporter/exporter.hpp"

namespace lade {

enum class OutputType { image, oci, docker, local, tar };

struct Output {
  OutputType type = OutputType::image;
  std::string dest;                ///< "-" is standard output (oci, docker, tar)
  std::vector<std::string> names;  ///< name=
  bool as_tar = true;              ///< oci: tar=false writes a layout directory
  /// local, tar: a directory per platform; by default if there is more than one.
  std::optional<bool> platform_split;
  ImageOptions image;
  Annotations annotations;
};

/// Parses "type=oci,dest=x.tar,compression=zstd,...", or a bare path (type=local; "-" is type=tar).
/// CSV with quotes, as docker's. Throws Error(usage) naming the unknown key or bad value.
Output parse_output(const std::string& text);

}  // namespace lade
