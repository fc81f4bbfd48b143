// /sys/fs/cgroup in a sandbox: the step's own groups, so that what sizes itself by its limits (a
// JVM, Go, node) sees them.
//
// Of cgroup v2 that is the one hierarchy as the step's cgroup namespace has it. Of v1, also where
// both versions are mounted, it is a directory for each hierarchy in which somebody limits the
// step: that it runs in the topmost group means that nobody does, and the whole machine's groups
// are nothing that a step should see. Insecure steps get all of them, writable.
#pragma once

#include <string>
#include <vector>

#include "solver/executor/cgroup/cgroup_tree.hpp"
#include "solver/executor/child/exec_spec.hpp"

namespace lade::sandbox {

struct CgroupMount {
  std::string source;              ///< the group's directory
  std::string name;                ///< "cpu,cpuacct"
  std::vector<std::string> links;  ///< "cpu", "cpuacct"
};

/// Of the calling process's v1 groups, while their names are still the host's: before it gets a
/// cgroup namespace of its own.
std::vector<CgroupMount> find_cgroup_mounts(const std::vector<Hierarchy>& hierarchies,
                                            SecurityMode security);

/// Mounts them, or v2's hierarchy where the host has that at /sys/fs/cgroup. In the namespace, with
/// /sys mounted. Throws Error.
void mount_cgroups(int root, const std::vector<CgroupMount>& v1, SecurityMode security);

}  // namespace lade::sandbox
