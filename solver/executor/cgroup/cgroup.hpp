// A control group for one step, in each hierarchy the host has (cgroup v2, v1, or both).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/cgroup_limits.hpp"
#include "solver/executor/cgroup/cgroup_tree.hpp"

namespace lade::sandbox {

/// Owns the groups; they are removed with it, when the step's processes are gone. Move-only.
class StepCgroup {
 public:
  StepCgroup() = default;
  /// Makes `parent`/`name` in every writable hierarchy (parents included). Throws Error if there is
  /// none, and if there is one of `limits` that none of them can set.
  static StepCgroup create(const std::string& parent, const std::string& name,
                           const CgroupLimits& limits = {});

  /// Which a process is born into (CLONE_INTO_CGROUP): moving one takes milliseconds. May be null.
  const OwnGroup* v2_group() const;
  /// Of the hierarchy that has the controller; may be null.
  const OwnGroup* v1_group(std::string_view controller) const;
  /// Moves the calling process into the others. Throws Error.
  void enter_v1() const;
  /// Whether the kernel killed a process in it for lack of memory.
  bool out_of_memory() const;
  /// Whether a process in it could not be made for the limit of their number.
  bool out_of_pids() const;

 private:
  struct InHierarchy {
    Hierarchy hierarchy;
    OwnGroup group;
  };

  void limit(const CgroupLimits& limits) const;

  std::vector<InHierarchy> groups_;
};

}  // namespace lade::sandbox
