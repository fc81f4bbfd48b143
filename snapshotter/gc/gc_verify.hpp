// Whether a state directory is whole.
#pragma once

#include <string>
#include <vector>

#include "snapshotter/gc/gc.hpp"

namespace lade {

struct Verification {
  std::vector<std::string> damage;   ///< a line for each thing that is not as it should be
  std::vector<std::string> orphans;  ///< what a killed process left; the next prune takes it
  /// What was of use once, as the blobs of an image whose name went to another one; likewise.
  std::vector<std::string> unneeded;
  size_t blobs = 0;  ///< that were checked
  size_t layers = 0;
  size_t images = 0;
};

/// Recomputes the digest of every blob, the diff ID of every layer's blobs and the content digest
/// of every layer, compares every layer's directory with its index, every row with its files, and
/// asks SQLite to check itself. Reads everything. Wrong diff IDs and content digests are mended or
/// forgotten, with what was founded on them. What other processes remove or add meanwhile is
/// neither.
Verification verify_state(StateDir& state, GcRecords& records);

}  // namespace lade
