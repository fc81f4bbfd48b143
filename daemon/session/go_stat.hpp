// Entries of trees as fsutil describes them: modes are those of Go's io/fs.FileMode.
#pragma once

#include <cstdint>
#include <string>

#include "snapshotter/tree/layer_index.hpp"

namespace fsutil::types {
class Stat;
}

namespace lade {

inline constexpr uint32_t kGoDir = 1u << 31;
inline constexpr uint32_t kGoSymlink = 1u << 27;
inline constexpr uint32_t kGoDevice = 1u << 26;
inline constexpr uint32_t kGoNamedPipe = 1u << 25;
inline constexpr uint32_t kGoSocket = 1u << 24;
inline constexpr uint32_t kGoSetuid = 1u << 23;
inline constexpr uint32_t kGoSetgid = 1u << 22;
inline constexpr uint32_t kGoCharDevice = 1u << 21;
inline constexpr uint32_t kGoSticky = 1u << 20;
inline constexpr uint32_t kGoIrregular = 1u << 19;
inline constexpr uint32_t kGoType =
    kGoDir | kGoSymlink | kGoDevice | kGoNamedPipe | kGoSocket | kGoCharDevice | kGoIrregular;

/// The entry under another path.
void put_stat(const Entry& entry, const std::string& path, fsutil::types::Stat& out);

}  // namespace lade
