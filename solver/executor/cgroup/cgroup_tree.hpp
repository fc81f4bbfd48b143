// The cgroup hierarchies of the machine (v2, v1, or both), and groups made in them.
//
// Many lade processes make and remove groups at once, and any may be killed. So a group that lade
// made is marked (an extended attribute) and locked (flock(2)) by its maker for as long as that
// lives: what is marked and not locked is a leftover. Parents that had to be made are marked, too,
// and go with the last group in them; controllers that had to be passed on to them are withdrawn.
// There is no lock around that: who loses a parent to another's tidying makes it again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"

namespace lade::sandbox {

/// Where steps run that only have limits.
inline constexpr const char* kDefaultParent = "/lade";

struct Hierarchy {
  std::string mount;  ///< where it is mounted
  std::string root;   ///< the group that is mounted there; mostly "/"
  bool v2 = false;
  /// v1: "cpu", "cpuacct", "name=systemd".
  std::vector<std::string> controllers;

  bool has(std::string_view controller) const;
};

/// Those that are mounted where this process sees them, each once.
std::vector<Hierarchy> find_hierarchies();

/// The directory of a process's group; empty if it lies outside of what is mounted. `groups` is
/// /proc/PID/cgroup.
std::string group_dir(const Hierarchy& hierarchy, std::string_view groups);

/// Whether a group is the hierarchy's topmost one, which nothing can limit.
bool is_top_group(const Hierarchy& hierarchy, const std::string& dir);

/// A group of this process's own. Move-only; the directory goes with it, when the group's processes
/// have ended.
class OwnGroup {
 public:
  OwnGroup() = default;
  /// Makes the group `path` (with a number added if there is one) and what lacks above it. On v2
  /// the groups above pass the `controllers` on that they have. Throws Error.
  static OwnGroup make(const Hierarchy& hierarchy, const std::string& path,
                       const std::vector<std::string>& controllers = {});
  OwnGroup(OwnGroup&& other) noexcept = default;
  OwnGroup& operator=(OwnGroup&& other) noexcept;
  ~OwnGroup() { remove(); }

  const std::string& dir() const { return dir_; }
  int fd() const { return fd_.get(); }
  explicit operator bool() const { return bool(fd_); }

 private:
  OwnGroup(std::string top, std::string dir, UniqueFd fd)
      : top_(std::move(top)), dir_(std::move(dir)), fd_(std::move(fd)) {}
  friend void sweep_groups(const Hierarchy& hierarchy, const std::string& dir);
  void remove();

  std::string top_;  // the hierarchy's mount point
  std::string dir_;
  UniqueFd fd_;
};

/// Moves the calling process. Throws Error.
void enter_group(const std::string& dir);

/// Writes one of a group's files. Throws Error.
void write_setting(const std::string& path, const std::string& value);

/// Removes the groups in `dir` whose makers are dead.
void sweep_groups(const Hierarchy& hierarchy, const std::string& dir);

/// Sweeps wherever lade makes groups unasked: in this process's own groups and in kDefaultParent.
void sweep_groups(const std::vector<Hierarchy>& hierarchies);

}  // namespace lade::sandbox
