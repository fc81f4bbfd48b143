// --filter of `lade images`, as `docker images` has it.
#pragma once

#include <string>
#include <vector>

#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace lade {

/// The values of --filter: "KEY=VALUE" or "KEY=VALUE,KEY=VALUE". Different keys must all hold, of
/// one key's values any (but for label, of which all).
class ImageFilter {
 public:
  /// `before` and `since` look their image up. Throws Error(usage) for unknown keys.
  ImageFilter(const std::vector<std::string>& texts, StateDir& state);

  /// Only images that this REPOSITORY[:TAG] (which may have wildcards) names.
  void add_reference(const std::string& pattern) { references_.push_back(pattern); }

  bool accepts(const StoredImage& image) const;
  /// Whether this name of an accepted image is to be listed.
  bool accepts_name(const std::string& name) const;

 private:
  void add(const std::string& key, const std::string& value, StateDir& state);

  std::vector<std::string> references_;
  std::vector<std::pair<std::string, std::optional<std::string>>> labels_;
  std::optional<bool> dangling_;
  std::optional<Timestamp> before_;
  std::optional<Timestamp> since_;
};

}  // namespace lade
