// How a zygote keeps the steps that it starts from the machine's devices.
//
// The first choice is rules of a cgroup (device_rules.hpp): nodes can be made and lie anywhere, and
// only those that are harmless can be opened. One group serves all steps of a zygote that have none
// of their own, since a group and its rules take longer to make than a step can spare:
//
// - v2: steps are born into a group below lade's own, whose BPF program answers for them.
// - v1: steps are where the zygote is, since a process cannot be born elsewhere, so the zygote
//   itself moves into a group below its own (some 10 ms), and out again for what it has to open of
//   the machine. Insecure steps move out by themselves.
//
// Where neither can be had (no writable hierarchy, a kernel without BPF), no mount of a step has
// devices but the few nodes of its own /dev. Steps lack CAP_SYS_ADMIN, so they cannot change that.
#pragma once

#include <string>
#include <vector>

#include "solver/executor/cgroup/cgroup.hpp"
#include "solver/executor/cgroup/cgroup_tree.hpp"
#include "solver/executor/cgroup/device_defence.hpp"

namespace lade::sandbox {

/// Lives in the zygote. Its group goes with it, but for v1: a process cannot remove the group it
/// is in, so who started the zygote sweeps.
class DeviceGuard {
 public:
  /// The best of what this machine has, from `first` on.
  static DeviceGuard create(DeviceDefence first, const std::vector<Hierarchy>& hierarchies);

  DeviceDefence defence() const { return defence_; }
  /// v2: what steps without a group of their own are born into.
  const OwnGroup& group() const { return group_; }
  /// v1: the directory of the group that the zygote left; empty otherwise.
  const std::string& way_out() const { return way_out_; }
  /// Applies the rules to a group of a step's own. False: mounts have to do there.
  bool protect(const StepCgroup& group) const;

  /// False if somebody removed the group, which stands empty between steps.
  bool is_there() const;

  /// Opens what a step must not: on v1 the zygote is outside of its group meanwhile. Throws what
  /// `open` does.
  template <class Open>
  void outside(Open open) const;

 private:
  void come_back() const noexcept;
  bool use_v2(const Hierarchy& hierarchy, const std::string& own);
  bool use_v1(const Hierarchy& hierarchy, const std::string& own);

  DeviceDefence defence_ = DeviceDefence::mounts;
  OwnGroup group_;
  UniqueFd program_;
  std::string way_out_;
};

template <class Open>
void DeviceGuard::outside(Open open) const {
  if (way_out_.empty()) return open();
  enter_group(way_out_);
  try {
    open();
  } catch (...) {
    come_back();
    throw;
  }
  come_back();
}

}  // namespace lade::sandbox
