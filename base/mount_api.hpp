// The kernel's file-descriptor mount interface (fsopen(2), open_tree(2), move_mount(2),
// mount_setattr(2)), one function per use. A mount is a descriptor here: "detached" until attach()
// gives it a place, gone with its last descriptor if it never gets one. Everything throws Error.
//
// All of it exists since Linux 5.2, but for mount_setattr(2) (5.12; see bind_remount.hpp); what is
// newer says so where it is used.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include <sys/mount.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace lade::sandbox {

/// Of what holds neither programs nor devices.
inline constexpr unsigned no_code = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/// A filesystem being configured.
class FsContext {
 public:
  explicit FsContext(const char* type);

  void set(const char* key, const std::string& value);
  void set_flag(const char* key);
  /// False where this kernel does not know the flag.
  bool try_flag(const char* key);
  /// A new, detached mount of it with MOUNT_ATTR_* attributes.
  UniqueFd mount(unsigned attributes);

 private:
  [[noreturn]] void fail(const std::string& doing);

  std::string type_;
  UniqueFd fd_;
};

struct FsOption {
  const char* key;
  std::string value;
};

/// A new filesystem of `type`, mounted nowhere yet.
UniqueFd new_filesystem(const char* type, std::initializer_list<FsOption> options,
                        unsigned attributes);

/// A detached bind mount of what `path_fd` (O_PATH will do) stands for, with the mounts below it.
/// The descriptor must be of an attached mount: kernels before 6.15 copy from those only.
UniqueFd clone_tree(int path_fd);

/// The mount that covers `name` in `dir`, itself.
UniqueFd open_mount_at(int dir, const std::string& name);

/// Adds MOUNT_ATTR_* attributes to the mount and all mounts below it. It must have its place: older
/// kernels change none that is detached.
void add_attributes(int mount_fd, uint64_t attributes);
void make_read_only(int mount_fd);
/// Device nodes on it cannot be opened any more.
void make_nodev(int mount_fd);

/// Gives the mount its place: on what `target_fd` stands for.
void attach(int mount_fd, int target_fd);
/// On a directory of a root filesystem. Not through a symlink: an image must not choose where /proc
/// really is.
void attach_at(int root, const char* target, int mount_fd);

}  // namespace lade::sandbox
