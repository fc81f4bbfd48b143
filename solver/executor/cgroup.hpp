// A control group for one step, in each hierarchy the host has (cgroup v2, v1, or both).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lade::sandbox {

/// Owns the directories; they are removed with it, when the step's processes are gone. Move-only.
class StepCgroup {
 public:
  StepCgroup() = default;
  /// Makes `parent`/`name` in every writable hierarchy (parents included). Throws Error if there is
  /// none.
  static StepCgroup create(const std::string& parent, const std::string& name);
  StepCgroup(StepCgroup&& other) noexcept : dirs_(std::move(other.dirs_)) { other.dirs_.clear(); }
  StepCgroup& operator=(StepCgroup&& other) noexcept;
  ~StepCgroup() { remove(); }

  /// Moves the calling process into it. Throws Error.
  void enter() const;
  /// Whether the kernel killed a process in it for lack of memory.
  bool out_of_memory() const;

 private:
  void remove();

  std::vector<std::string> dirs_;
};

}  // namespace lade::sandbox
