// Fills an empty directory with the entries of a layer: its directory form.
#pragma once

#include <array>
#include <string>
#include <utility>

#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

/// Makes entries below a directory that nobody else touches meanwhile. Parents must have been made
/// before what is in them, and no name twice (but for remove()); nothing is followed, nothing
/// outside is reached (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS). Throws Error; wants
/// root, or root of a user namespace, for owners and devices.
///
/// Directories are 0700 and ours until finish_directory(): what is made in them must change neither
/// their times nor inherit their group.
class TreeWriter {
 public:
  /// `dir` is borrowed. `userxattr`: overlay marks as user.overlay.* instead of trusted.overlay.*.
  TreeWriter(int dir, bool userxattr);

  /// A new regular file, to be written and given to finish_file().
  UniqueFd create_file(const Entry& entry);
  /// Owner, mode, xattrs and time. Drops from `entry` the xattrs that this filesystem cannot hold;
  /// security.capability is an Error then.
  void finish_file(int fd, Entry& entry);
  /// Makes anything but a regular file, with its attributes (a directory's come with
  /// finish_directory). The top is there already.
  void make(Entry& entry);
  /// Makes `path` a hard link of `target`, which has been made before.
  void link(const std::string& target, const std::string& path);
  /// Removes an entry with everything below it.
  void remove(const std::string& path);
  /// Attributes of a directory ("" for the top): after everything in it has been made.
  void finish_directory(Entry& entry);

 private:
  struct Parent {
    std::string path;
    UniqueFd fd;
  };
  /// The descriptor of the directory that holds `path`, and the name in it; valid until the next
  /// call but one.
  std::pair<int, std::string> locate(const std::string& path);
  bool owner_differs(const Entry& entry) const;
  bool mode_differs(uint32_t mode) const { return (mode & (umask_ | 07000U)) != 0; }

  int dir_;
  bool userxattr_;
  uid_t own_uid_;
  gid_t own_gid_;
  bool group_is_own_;  // new files get own_gid_
  mode_t umask_;
  std::array<Parent, 4> parents_;
  size_t next_parent_ = 0;
};

}  // namespace lade
