// What LayerStore's parts (layer_store.cpp, layer_forms.cpp, layer_mount.cpp) share. Private to
// this folder.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/database.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/layers/durability.hpp"
#include "snapshotter/layers/layer.hpp"
#include "snapshotter/layers/layer_set.hpp"
#include "snapshotter/layers/pins.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// What an overlay must know of a layer's root directory without loading its index.
struct RootAttributes {
  bool opaque = false;   ///< the layers below are not to be seen
  bool present = false;  ///< the layer has an entry for the root, with these:
  uint32_t mode = 0755;
  uint32_t uid = 0;
  uint32_t gid = 0;

  static RootAttributes of(const LayerIndex& index);
  /// As values of root_opaque, root_mode, root_uid and root_gid.
  void bind_to(Statement& row) const;
};

struct LayerStoreState {
  LayerStoreState(std::string state_root, Database& state_database, ContentStore& content_store,
                  const LayerStoreOptions& options);

  std::string name(LayerId layer) const;  ///< its id in base 36
  std::string index_path(LayerId layer) const { return root + "/index/" + name(layer); }

  /// Renames a finished directory and its index file into place, over what a crash may have left.
  void place(const PendingLayer& pending, LayerId layer) const;
  /// Writes the index file beside the directory of `pending`, for place().
  static void write_index(const std::string& path, const LayerIndex& index);
  void remember(LayerId layer, std::shared_ptr<const LayerIndex> index);

  bool look_for(LayerId layer);
  bool forget_directory(LayerId layer);

  /// Removes tmp/ directories whose owners are gone; once per process.
  void sweep_tmp();
  /// Drops layers of an earlier boot that are not durable.
  void drop_lost_layers();

  const std::string root;
  Database& database;
  ContentStore& content;
  const bool userxattr;  ///< in a user namespace: overlay's marks are user.overlay.*
  const std::string boot_id;
  UniqueFd layers_dir;
  UniqueFd tmp_dir;
  DurabilitySweep durability;
  Pins pins;

  std::mutex mutex;
  bool swept = false;  // guarded by mutex, as the rest
  std::unordered_map<LayerId, std::shared_ptr<const LayerIndex>> indexes;
  std::unordered_map<LayerId, std::shared_ptr<std::mutex>> hashing;  // one hasher per layer
  std::unordered_map<LayerId, std::optional<Digest>> claims;  // of those that were looked for
  /// An image's layer lies on that image's others, whatever stack it is met in.
  struct InImage {
    std::shared_ptr<const LayerStack> stack;
    size_t position = 0;
  };
  std::unordered_map<LayerId, InImage> of_images;  // those that were added
  LayerSet held;                                   // pinned, and there
  LayerSet kept_private;
  LayerSet with_directory;
  LayerSet used;                                     // since the last write_use()
  LayerSet ever_used;                                // by this process
  std::unordered_map<LayerId, int64_t> used_before;  // as the database had it
};

/// What content keys see of an image's layer: its files are known by that name only, wherever they
/// were unpacked.
Digest image_layer_content(const DiffId& diff_id);

/// The bytes of an index file. Throws Error(corrupt).
LayerIndex unpack_index(std::string_view bytes);

/// Locks byte `number` of STATE/locks/`file` (an open-file-description lock) until the descriptor
/// is closed: a lock per layer or blob without a file for each. Waits; threads of one process
/// exclude each other too.
UniqueFd lock_number(const std::string& root, const std::string& file, uint64_t number);

}  // namespace lade
