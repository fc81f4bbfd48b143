// Image names: [registry/]repository[:tag][@digest], normalised as Docker does
// (distribution/reference grammar).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"

namespace lade {

struct Reference {
  std::string registry;    ///< "docker.io", "127.0.0.1:5000"
  std::string repository;  ///< "library/debian"
  std::string tag;  ///< "latest" if neither tag nor digest was given; may be empty with a digest
  std::optional<Digest> digest;

  /// Throws Error naming what is wrong (upper case, bad characters, too long).
  static Reference parse(std::string_view text);
  std::string name() const;      ///< "docker.io/library/debian"
  std::string str() const;       ///< "docker.io/library/debian:12", "...@sha256:..."
  std::string familiar() const;  ///< "debian:12"
};

}  // namespace lade
