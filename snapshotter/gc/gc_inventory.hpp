// What a garbage collection knows of a state directory. Private to this folder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "snapshotter/gc/gc_model.hpp"

namespace lade {

struct KnownLayer {
  std::optional<Digest> diff_id;  ///< not by a cache's word
  bool has_directory = false;
  int64_t last_used = 0;
  bool flattened = false;     ///< several layers in one, for mounting
  std::vector<Digest> blobs;  ///< that are here
  uint64_t bytes = 0;         ///< of directory and index
  bool of_base = false;       ///< of an image that a name or a registry's answer leads to
  bool sole_form = false;     ///< of an image that has no blob of it here
  size_t records = 0;         ///< that give it
};

struct StoredBlob {
  uint64_t bytes = 0;
  int64_t changed_at = 0;  ///< milliseconds since 1970
};

struct Inventory {
  std::map<LayerId, KnownLayer> layers;
  std::vector<GcRecord> records;
  std::vector<ImageName> images;
  std::vector<ImageName> resolutions;
  std::map<Digest, StoredBlob> blobs;
  std::set<Digest> image_blobs;   ///< that names need
  std::set<Digest> needed_blobs;  ///< the same, and manifests and configs of resolutions
  std::set<Digest> diff_ids;      ///< of images' layers
};

struct InventoryOptions {
  bool measure = false;              ///< how much layers take
  std::set<std::string> without{};   ///< names of images that are passed over
  bool without_resolutions = false;  ///< and what registries said of names
};

Inventory take_inventory(StateDir& state, GcRecords& records, const InventoryOptions& options);

/// What nothing refers to and has no rows: what prune() sweeps, with its size.
std::map<std::string, uint64_t> abandoned_files(StateDir& state);

/// What is below a directory of the state directory and has a lock file beside it ("NAME.lock").
struct LockedDirectory {
  std::string name;
  uint64_t bytes = 0;
  int64_t last_used = 0;
  bool in_use = false;
};
std::vector<LockedDirectory> locked_directories(const std::string& parent);

/// Whether what lies in `tmp` (the state directory's) under this name is of a process that is gone:
/// its owner holds it locked.
bool is_abandoned(int tmp, const std::string& name);

/// Bytes on the disk of a file or tree; files with N links count an Nth for each.
uint64_t tree_bytes(int dirfd, const std::string& name);
/// The same of what is here, or 0 if it is gone.
uint64_t path_bytes(const std::string& path);

/// Names of files below `layers/` and `index/` ("layers/2s") that belong to no layer. Within a
/// transaction: a layer's files are in place before its row, but in one transaction.
std::vector<std::string> unknown_layer_files(StateDir& state);

/// What steps made the layers: of the records that give them.
std::map<LayerId, std::string> layer_descriptions(const Inventory& inventory);

}  // namespace lade
