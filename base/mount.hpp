// What is to be mounted in a sandbox, as data: made by the solver and the snapshotter, interpreted
// by one function in the sandbox's child (solver/executor).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lade {

enum class MountKind {
  bind,  ///< `source` is a host path (file or directory), mounted recursively unless `subtree` is
         ///< false
  overlay,  ///< `lowers`, and `upper`+`work` unless read-only
  tmpfs,    ///< `size_bytes` (0: the kernel's default), `mode`
};

struct Mount {
  MountKind kind = MountKind::bind;
  std::string target;  ///< absolute path inside the root filesystem; "/" for the root itself
  std::string source;  ///< bind
  std::vector<std::string>
      lowers;              ///< overlay: top-most first; names relative to `lower_base`, or absolute
  std::string lower_base;  ///< overlay: the directory the relative lowers live in
  std::string upper;       ///< overlay: absolute; empty for a read-only view
  std::string work;        ///< overlay: absolute; on the filesystem of `upper`
  /// Path inside the mounted thing that appears at `target` ("" or "/" for all of it). Resolved
  /// inside the mounted tree, never outside.
  std::string subpath;
  bool read_only = false;
  /// Device nodes on it can be opened, as far as the step's device rules go. Without it none can,
  /// but for the root filesystem's.
  bool devices = false;
  bool userxattr = false;   ///< overlay: rootless form
  uint64_t size_bytes = 0;  ///< tmpfs
  uint32_t mode = 0755;     ///< tmpfs
};

}  // namespace lade
