// What a copy takes from a tree: wildcards, excludes and --parents resolved to a list of entries,
// before anything is read. The list's digest is what a copy contributes to cache keys.
#pragma once

#include <string>
#include <vector>

#include "base/digest.hpp"
#include "solver/graph/definition.hpp"
#include "solver/ops/tree.hpp"

namespace lade {

/// One entry below a copied root.
struct SelectedEntry {
  std::string relative;  ///< path below the root; never empty
  Found found;
  bool parent_only =
      false;  ///< a directory that is there only because something below it was chosen
};

/// One thing that the source names (a wildcard may name several).
struct SelectedRoot {
  std::string name;  ///< last component as named, for destinations that are directories
  std::string path;  ///< as named, for messages
  Found found;       ///< what it is, symlinks followed
  std::vector<SelectedEntry>
      entries;          ///< if it is a directory: all below it that is copied, in walk order
  bool itself = false;  ///< a directory is copied itself, too
};

/// Throws Error(not_found) naming the source, with a hint, if it has no wildcard and does not
/// exist.
std::vector<SelectedRoot> select_sources(const Tree& tree, const CopyAction& action);

/// Digest over names, metadata (without times), contents and hard links of all that was selected;
/// hashes what is not hashed yet, in parallel.
Digest selection_digest(const Tree& tree, const std::vector<SelectedRoot>& roots);

/// The same of what a mount of `subpath` ("" or "/": everything) shows: the directory itself, too,
/// and how many links its files have.
/// Something that is not there has a digest as well: another mount may lie over it.
Digest mount_digest(const Tree& tree, const std::string& subpath);

}  // namespace lade
