// From a directory to an index: of a whole layer directory, and of the upperdir of a finished step.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// All entries below `dir`, and `dir` itself as "", in no order, not hashed. Char 0:0 devices (and
/// empty files with overlay's whiteout xattr) are whiteouts, overlay's opaque mark is `opaque`,
/// hard links within the tree are groups. Scans on oneTBB; names must fit in PATH_MAX. Throws
/// Error.
std::vector<Entry> scan_tree(int dir, bool userxattr);

/// What `name` in the directory `dir` is, as scan_tree() has it (without hard links), its path
/// being `name`; nullopt if there is nothing of that name. Something else may be writing to `dir`.
std::optional<Entry> scan_entry(int dir, const std::string& name, bool userxattr);

/// The index of an upperdir, with what is no change against `lower` removed, from the index and
/// from the directory:
///   - entries equal to the lower one in all metadata and bytes (copied up, then left alone),
///   unless a hard
///     link was made of them;
///   - directories equal but for their mtime, with no change below;
///   - whiteouts of what lower does not have.
/// An opaque mark stays only where lower has a directory. The root is in the index only if its
/// owner, mode or xattrs differ. Nothing else may use `dir` meanwhile.
LayerIndex index_upper(int dir, bool userxattr, const MergedIndex& lower,
                       const OpenFound& open_lower);

}  // namespace lade
