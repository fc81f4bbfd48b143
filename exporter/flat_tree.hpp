// A stack of layers as the one tree it shows, for exports that have no layers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exporter/exporter.hpp"

namespace lade {

/// Fetches the directories that layers of the stack lack; waits for the network.
void ensure_directories(StateDir& state, const LayerStack& stack, const LayerProvider& provider);

/// The entries of the merged view, parents before children (MergedIndex::walk's order), without the
/// root. Hard links of different layers are in different groups. What the source is to say of
/// itself is in it as files. Keeps `state` and copies the stack; thread-safe after making.
class FlatTree {
 public:
  /// Fetches the directories that are missing; waits for the network.
  FlatTree(StateDir& state, const ImageSource& source, std::optional<Timestamp> epoch);

  const std::vector<Entry>& entries() const { return entries_; }
  /// Opens a regular file of entries() for reading.
  UniqueFd open(const Entry& entry) const;

 private:
  size_t position(const std::string& path) const;
  void add_attestations(const ImageSource& source, std::optional<Timestamp> epoch);

  StateDir& state_;
  LayerStack stack_;
  std::vector<Entry> entries_;
  std::vector<size_t> layers_;                // of each entry
  std::map<std::string, std::string> texts_;  // of entries that are in no layer, by path
};

}  // namespace lade
