// The state directory: where everything that outlives a build is kept.
#pragma once

#include <memory>
#include <string>

#include "base/database.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/images/image_store.hpp"
#include "snapshotter/layers/layer_store.hpp"

namespace lade {

/// An open state directory. Opening makes it, checks the format tag ("lade-state 1"), that it
/// belongs to this user (root and rootless never share one), that no other user may enter it (it
/// takes their permissions away), and that it is not on a network filesystem.
class StateDir {
 public:
  /// Throws Error that names `root`.
  static std::unique_ptr<StateDir> open(const std::string& root);
  /// --root, else $LADE_ROOT, else /var/lib/lade for root, $XDG_DATA_HOME/lade otherwise.
  static std::string default_root(const std::string& option);

  const std::string& root() const { return root_; }
  Database& database() { return *database_; }
  ContentStore& content() { return *content_; }
  LayerStore& layers() { return *layers_; }
  ImageStore& images() { return *images_; }
  /// Removes a directory of the state directory: renamed to tmp/ first, so that a kill leaves it to
  /// be swept. A missing one is fine.
  void discard(const std::string& path);

  std::string tmp() const { return root_ + "/tmp"; }
  std::string locks() const { return root_ + "/locks"; }

 private:
  StateDir() = default;
  std::string root_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<ContentStore> content_;
  std::unique_ptr<LayerStore> layers_;
  std::unique_ptr<ImageStore> images_;
};

}  // namespace lade
