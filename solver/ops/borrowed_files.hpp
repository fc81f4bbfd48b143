// Files that a new layer has from an earlier one, as hard links: of two layers of the same step
// only one can be seen at a path, and layers never change, so that nobody can tell but by the
// number of links. Steps can tell that, so a layer which one is about to see gets copies.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

enum class Borrowing { link, copy };

/// Makes the links a directory at a time, beside whoever asks for them: that is most of the work of
/// a copy of which little has changed. One thread at a time.
class BorrowedFiles {
 public:
  /// `root` is the directory of the layer that is borrowed from, which must stay while this lives.
  BorrowedFiles(std::shared_ptr<const LayerIndex> donor, UniqueFd root, Borrowing how);
  BorrowedFiles(const BorrowedFiles&) = delete;
  BorrowedFiles& operator=(const BorrowedFiles&) = delete;
  /// Waits; what has not been begun is not done.
  ~BorrowedFiles();

  /// What the other layer has at `path`; null if it has nothing. Quickest in the index's order.
  const Entry* find(const std::string& path);

  /// Whether the next files may go to `directory` without open().
  bool is_open(std::string_view directory) const;
  /// The next files are those of `directory` and go to `into`. False if the other layer does not
  /// have that directory.
  bool open(const std::string& directory, UniqueFd into);
  /// Puts a file of the open directory, as find() gave it: soon, as a link unless copies are wanted
  /// or the filesystem allows no more links.
  void add(const Entry& entry);

  /// Returns when all files are there; a directory must be opened again. Throws Error for the first
  /// that could not be put.
  void finish();

 private:
  struct Batch;
  struct Queue;
  void hand_over();

  std::shared_ptr<const LayerIndex> donor_;
  UniqueFd root_;
  Borrowing how_;
  size_t next_ = 0;  // of the donor's entries: behind the one that was found last
  std::string directory_;
  std::unique_ptr<Batch> batch_;  // of directory_
  std::shared_ptr<Queue> queue_;
};

}  // namespace lade
