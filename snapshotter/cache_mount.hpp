// The directories of cache mounts (RUN --mount=type=cache) in a state directory.
//   STATE/cache-mounts/<NAME>[-N]/fs, with a lock file <NAME>[-N].lock beside it
// A mount's name is a digest of its id and of what it begins as (CacheMount::name_of()).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/unique_fd.hpp"

namespace lade {

class StateDir;

/// Names a mount that begins as a cache's tree of it, `blob`: it is another mount than this
/// machine's own of that id, and only for builds that read a cache which has just this tree.
Digest restored_mount(const Digest& id, const Digest& blob);

/// One of an id's directories; those with a number beyond 0 are for steps that want one for
/// themselves while another is in use. Whoever holds the shared lock may be one of several that
/// work in it.
class CacheMountDirectory {
 public:
  /// `id` is the mount's name, or a restored_mount().
  CacheMountDirectory(const std::string& state_root, const Digest& id, int number = 0);

  /// Those of the id that there are.
  static std::vector<CacheMountDirectory> all(const std::string& state_root, const Digest& id);

  std::string path() const { return base_ + "/fs"; }  ///< of the tree
  bool exists() const;
  /// nullopt if somebody else holds it in another way.
  std::optional<UniqueFd> try_lock(bool shared) const;
  /// Makes it unless it is there: its owner and mode are the first user's.
  void make(uint32_t uid, uint32_t gid, uint32_t mode) const;
  /// Moves a finished tree there. The caller holds the lock, not shared, and saw that there is
  /// none.
  void place(const std::string& tree) const;
  /// Makes the tree another mount's, unless that has one. The caller holds the lock, not shared.
  void hand_over(const CacheMountDirectory& to) const;
  /// Removes the tree. The caller holds the lock, not shared.
  void discard(StateDir& state) const;

 private:
  std::string base_;
};

}  // namespace lade
