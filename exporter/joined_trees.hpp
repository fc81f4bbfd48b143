// The trees of several images as one, for exports that have a place for one.
#pragma once

#include <memory>
#include <vector>

#include "exporter/exporter.hpp"
#include "exporter/flat_tree.hpp"

namespace lade {

/// Thread-safe after making. Keeps `state`.
class JoinedTrees {
 public:
  /// Each source lies below its directory, which has the time `made`; those without one lie over
  /// one another: directories of one path are one then, and anything else that two have is an
  /// Error. Fetches what is missing; waits for the network.
  JoinedTrees(StateDir& state, const std::vector<NamedSource>& sources,
              std::optional<Timestamp> epoch, Timestamp made = {});

  /// Parents before children, in compare_paths() order.
  const std::vector<Entry>& entries() const { return entries_; }
  /// Opens a regular file, one of entries(), for reading.
  UniqueFd open(const Entry& entry) const;

 private:
  /// What an entry is in the tree that it is of; none: a source's directory.
  struct Origin {
    size_t source;
    const Entry* entry;
  };

  void add(size_t source, const std::string& directory, const FlatTree& tree, Timestamp made);
  void merge(const std::vector<NamedSource>& sources);

  std::vector<std::unique_ptr<FlatTree>> trees_;
  std::vector<Entry> entries_;
  std::vector<Origin> origins_;  // of each entry
  uint32_t groups_ = 0;          // of hard links: a tree's own must not meet another's
};

}  // namespace lade
