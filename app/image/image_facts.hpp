// What several commands say of images in the same words.
#pragma once

#include <string>

#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/state.hpp"

namespace lade {

/// "2026-01-02 03:04:05 +0000 UTC", as docker's CreatedAt.
std::string docker_time(const Timestamp& time);
/// "2 weeks ago"; "N/A" without a time.
std::string time_ago(const std::optional<Timestamp>& time);

/// Bytes of one layer's files, uncompressed; of its blob where its files were never known here.
uint64_t layer_size(StateDir& state, const DiffId& diff_id, const Descriptor& blob);
/// Of all layers.
uint64_t image_size(StateDir& state, const StoredManifest& manifest);

/// The repository as docker shows it ("app", "127.0.0.1:5000/app") and the tag; "<none>" where
/// there is none.
struct ShownName {
  std::string repository = "<none>";
  std::string tag = "<none>";
};
ShownName shown_name(const std::string& name);

/// 12 hex digits, or all with "sha256:".
std::string shown_id(const Digest& digest, bool whole);

}  // namespace lade
