// Builds one new layer's directory and index on top of a merged view, without mounting anything:
// what COPY, ADD and WORKDIR do. Parents that exist below are replicated with their metadata, so
// that the layer's directory can be stacked by overlayfs as it lies.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/holes.hpp"
#include "base/stream.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/pins.hpp"
#include "snapshotter/tree/layer_index.hpp"
#include "solver/ops/borrowed_files.hpp"

namespace lade {

/// Paths here are canonical: relative to the root, no symlinks in the middle, "" for the root
/// itself. One thread at a time.
class LayerBuilder {
 public:
  /// `layers` makes the pending layer; `base` is what it will lie on.
  LayerBuilder(LayerStore& layers, const MergedIndex& base);

  /// What is at `path` now: in this layer, else below.
  const Entry* find(const std::string& path) const;

  /// Goes through all paths there are now, each directory before what is in it; `visit` says
  /// whether to go on below. No order besides.
  void walk(const std::function<bool(const std::string& path)>& visit) const;

  /// The canonical form of the absolute path `path` for writing to it. Symlinks in the middle
  /// resolve inside the root, and the last component's if `follow_last`; with `follow` false
  /// nothing does (COPY --link). Error if a component is neither a directory nor missing, or links
  /// loop.
  std::string canonical(const std::string& path, bool follow, bool follow_last) const;

  /// Makes the directory `path` and its missing parents with `meta`'s mode, owner and mtime.
  /// Existing ones stay as they are. Error if something else is in the way.
  void make_directories(const std::string& path, const Entry& meta);

  /// Puts a directory with the metadata of `meta`, replacing that of an existing one only if
  /// `replace_metadata`. True if it is new. Its parent must exist.
  bool put_directory(const std::string& path, const Entry& meta, bool replace_metadata);

  /// Puts a regular file, replacing what is there unless that is a directory. Returns the content's
  /// digest.
  Digest put_file(const std::string& path, const Entry& meta, ByteSource& bytes);
  /// The same of an open file from its start, whose holes the new one has, too.
  Digest put_file(const std::string& path, const Entry& meta, int from);
  /// From now on borrow_file() looks into the layer `donor`, whose directory must be here and stay
  /// while this lives: what an earlier run of the same step made. Copies are made where links are
  /// not wanted, or somebody has mounted the donor.
  void borrow_from(LayerId donor, Borrowing how);
  /// Puts a regular file as a link or copy of the donor's at the same path, if that has the
  /// metadata of `meta` and the `content` (asked last). False if it has not; then nothing was done.
  bool borrow_file(const std::string& path, const Entry& meta,
                   const std::function<Digest()>& content);
  /// Makes what is at `path`, no directory, this layer's own with the attributes of `meta`, which
  /// has its type: a file below is copied up. What is this layer's own stays as it is, since the
  /// inode may be another layer's, too.
  void own_file(const std::string& path, const Entry& meta,
                const std::function<UniqueFd(const Found&)>& open);
  /// Puts a hard link to a file put earlier.
  void put_hardlink(const std::string& path, const std::string& existing);
  /// Puts a symlink, device or fifo.
  void put_other(const std::string& path, const Entry& meta);

  /// Takes what is at `path` away, with all below it. False if there is nothing.
  bool remove(const std::string& path);

  /// From now on what is put replaces things of another type, as unpacking an archive does (true),
  /// or finds them an error, as copying does (false, the default).
  void replace_other_types(bool replace) { replace_other_types_ = replace; }

  /// Commits the layer.
  LayerId commit();

 private:
  /// Opens the directory `path` of this layer, after replicating it and its parents from below.
  UniqueFd layer_dir(const std::string& path);
  UniqueFd parent_dir(const std::string& path);  ///< layer_dir() of what `path` lies in
  void replicate(const std::string& path);
  /// Readies `path` for something that is no directory: its parent is here, nothing of that name
  /// is.
  UniqueFd ready(const std::string& path);
  void make_room(const std::string& path);
  /// Takes what this layer has at `path`, with all below it, out again.
  void remove_own(const std::string& path);
  /// Hides what lies below at `path`, of which this layer has nothing.
  void put_whiteout(const std::string& path);
  bool is_hidden(const std::string& path) const;
  static UniqueFd begin_file(int dir, const std::string& path);
  Digest finish_file(int dir, const std::string& path, const Entry& meta, int fd,
                     const CopiedFile& copied);
  void apply_metadata(const std::string& path, const Entry& meta, int fd);

  struct Less {
    bool operator()(const std::string& a, const std::string& b) const {
      return compare_paths(a, b) < 0;
    }
  };
  using Entries = std::map<std::string, Entry, Less>;
  Entries::const_iterator own(const std::string& path) const;

  LayerStore& layers_;
  const MergedIndex& base_;
  PendingLayer pending_;
  UniqueFd root_;
  Entries entries_;  // of this layer
  uint32_t next_group_ = 1;
  bool replace_other_types_ = false;
  // The directory that was written to last: most copies stay in one for a while.
  std::string last_dir_;
  UniqueFd last_fd_;
  std::unique_ptr<MountBar> lent_;  // of the donor, while links of its files are made
  bool shares_files_ = false;
  std::optional<BorrowedFiles> borrowed_;
};

}  // namespace lade
