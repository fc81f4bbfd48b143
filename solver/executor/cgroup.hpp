// A control group for one step, in each hierarchy the host has (cgroup v2, v1, or both).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cgroup_limits.hpp"

namespace lade::sandbox {

/// Where steps run that only have limits.
inline constexpr const char* kDefaultParent = "/lade";

/// Owns the directories; they are removed with it, when the step's processes are gone. Move-only.
class StepCgroup {
 public:
  StepCgroup() = default;
  /// Makes `parent`/`name` in every writable hierarchy (parents included). Throws Error if there is
  /// none, and if there is one of `limits` that none of them can set.
  static StepCgroup create(const std::string& parent, const std::string& name,
                           const CgroupLimits& limits = {});
  StepCgroup(StepCgroup&& other) noexcept : dirs_(std::move(other.dirs_)) { other.dirs_.clear(); }
  StepCgroup& operator=(StepCgroup&& other) noexcept;
  ~StepCgroup() { remove(); }

  /// Moves the calling process into it. Throws Error.
  void enter() const;
  /// Whether the kernel killed a process in it for lack of memory.
  bool out_of_memory() const;

 private:
  void limit(const CgroupLimits& limits) const;
  void remove();

  std::vector<std::string> dirs_;
};

}  // namespace lade::sandbox
