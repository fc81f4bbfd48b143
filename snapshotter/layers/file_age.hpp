// How old files are, for who may remove them.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/stat.h>

#include "snapshotter/layers/pins.hpp"

namespace lade {

/// Milliseconds since 1970.
inline int64_t modified_ms(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
}

/// Whether a file of that age may be about to be named by those who are at work since
/// `others_since` (LayerStore::oldest_other_start()).
inline bool is_young(int64_t modified, std::optional<int64_t> others_since) {
  return others_since && modified >= *others_since - kFileTimeSlackMs;
}

}  // namespace lade
