// The index of a layer: the sorted table of its entries, one of the three forms of a layer (the
// others are its tar blobs and its directory). Merged over a stack it answers path questions
// without touching files.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/sys.hpp"

namespace lade {

enum class EntryType : uint8_t {
  directory,
  regular,
  symlink,
  char_device,
  block_device,
  fifo,
  socket,    ///< kept in directories, never in tars (tar has no form for it)
  whiteout,  ///< hides the entry of that name in lower layers
};

struct Entry {
  std::string path;  ///< relative to the root, without leading slash; "" is the root itself
  EntryType type = EntryType::regular;
  bool opaque = false;  ///< directory: hides everything below it in lower layers
  uint32_t mode = 0;    ///< permission bits with setuid, setgid, sticky (07777)
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  ///< regular files
  int64_t mtime_sec = 0;
  uint32_t mtime_nsec = 0;
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  /// Entries of one index with the same non-zero number are hard links of one file.
  uint32_t hardlink_group = 0;
  std::string link_target;         ///< symlinks
  std::vector<sys::Xattr> xattrs;  ///< sorted; never trusted.overlay.* / user.overlay.*
  Digest content;                  ///< regular files, of their bytes; empty() while not hashed

  bool operator==(const Entry&) const = default;
};

/// Order of paths in an index, tars and walks: by component, so that a directory is followed
/// directly by everything below it ('/' sorts before every other byte).
std::strong_ordering compare_paths(std::string_view a, std::string_view b);

/// Feeds `relative_path` and what identifies an entry apart from its own path and time (type, mode,
/// uid, gid, size, link target, device, xattrs, content): the order and fields are part of the
/// cache format. Of the xattrs only security.capability and those outside security., system. and
/// trusted. count, as the others differ by host.
void hash_entry(Hasher& hasher, const Entry& entry, std::string_view relative_path);

/// Immutable and canonical: sorted by compare_paths, no path twice, every entry's parent directory
/// there (but for the root), hard-link groups numbered from 1 in order with at least two members
/// each, fields that a type does not have zero (a whiteout has only its path; a symlink's mode is
/// 0777).
class LayerIndex {
 public:
  /// Makes `entries` canonical: a duplicate path keeps the last one given (as a tar's later entry
  /// does), missing parents become directories 0755 0:0 with mtime 0. Error(corrupt) for a path
  /// that is not clean and relative, or that is below something other than a directory.
  explicit LayerIndex(std::vector<Entry> entries);

  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view path) const;
  /// One past the last position below entries()[position].
  size_t subtree_end(size_t position) const { return ends_[position]; }
  /// True when every regular file has its content digest.
  bool hashed() const;
  /// The layer's content digest: over all entries without times, and equal for layers that bring
  /// the same change. Needs hashed().
  Digest content_digest() const;
  uint64_t total_size() const;  ///< bytes of regular files, hard links once

  std::string serialize() const;
  static LayerIndex parse(std::string_view bytes);  ///< throws Error(corrupt)

 private:
  /// Fills ends_; false if a parent is missing.
  bool link_subtrees();
  void add_missing_parents();
  void number_hardlinks();
  size_t position(std::string_view path) const;  // of the first entry not before `path`

  std::vector<Entry> entries_;
  std::vector<uint32_t> ends_;
};

/// Where a path was found in a stack.
struct Found {
  const Entry* entry = nullptr;
  size_t layer = 0;  ///< position in the stack, 0 = bottom
  std::string path;  ///< canonical: symlinks resolved (find() leaves it as asked)
};

/// Opens a regular file of a merged view for reading.
using OpenFound = std::function<UniqueFd(const Found&)>;

/// A stack of indexes as overlayfs would show it; an opaque root hides the layers below too
/// (LayerStore leaves those out when it mounts). Keeps the indexes alive, remembers directories it
/// has merged; copies share that. Thread-safe after making.
class MergedIndex {
 public:
  /// `layers` bottom first.
  explicit MergedIndex(std::vector<std::shared_ptr<const LayerIndex>> layers);

  /// Exact look-up; no symlink is followed, not even in the middle (such a path is absent). The
  /// root "" is always found, with a default entry (directory 0755 0:0) if no layer has one.
  std::optional<Found> find(std::string_view path) const;
  /// As the kernel would resolve it inside this root: follows symlinks in the middle, and the last
  /// one if `follow_last`. Absent if anything on the way is; Error on a loop (40 links).
  std::optional<Found> resolve(std::string_view path, bool follow_last = true) const;
  /// Canonical form of `path` for creating it: existing parents are resolved, what does not exist
  /// is kept lexically. Error if a parent is not a directory.
  std::string resolve_for_create(std::string_view path, bool follow_last) const;
  /// Names in the directory with canonical path `dir`, sorted by bytes, each with its entry.
  std::vector<std::pair<std::string, Found>> list(std::string_view dir) const;
  /// Everything below canonical `dir` (without itself) in compare_paths order; stops when `visit`
  /// returns false for a directory: it is not descended into.
  void walk(std::string_view dir, const std::function<bool(const Found&)>& visit) const;

  const std::vector<std::shared_ptr<const LayerIndex>>& layers() const { return layers_; }

 private:
  struct Node;
  struct Child;
  class Resolver;
  static const std::vector<Child>& children(const Node& node);
  static const Child* child(const Node& node, std::string_view name);
  /// The directory's node; null if `dir` is no directory.
  const Node* directory(std::string_view dir) const;
  static void walk_node(const Node& node, const std::string& path,
                        const std::function<bool(const Found&)>& visit);

  std::vector<std::shared_ptr<const LayerIndex>> layers_;
  std::shared_ptr<const Node> root_;
};

}  // namespace lade
