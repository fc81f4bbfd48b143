// A tree that something may be writing to: layers with a container's directory on top.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshotter/layers/layer_store.hpp"

namespace lade {

/// Shows what overlayfs would, without mounting: the mount lies in the container's namespace alone,
/// and a second one of the same upperdir is undefined. Each call looks anew.
class LiveTree {
 public:
  /// `upper` is an upperdir (or any directory, over an empty stack); empty: nothing on top. The
  /// layers are here. `layers` outlives this.
  LiveTree(LayerStore& layers, LayerStack stack, const std::string& upper);

  struct Place {
    Entry entry;  ///< its path is the canonical one
    bool in_upper = false;
    bool in_lower = false;  ///< the layers' directory of that name shows through
  };
  /// Symlinks resolve inside the tree; the last one only if `follow`. Throws Error for a loop.
  std::optional<Place> find(const std::string& path, bool follow = true) const;
  /// A regular file for reading.
  UniqueFd open(const Place& file) const;
  /// By name. Throws Error(not_found), Error if it is no directory.
  std::vector<std::pair<std::string, Entry>> list(const std::string& path) const;

 private:
  std::optional<Place> child(const Place& directory, const std::string& name) const;

  LayerStore& layers_;
  LayerStack stack_;
  MergedIndex lower_;
  UniqueFd upper_;  // empty: none
};

}  // namespace lade
