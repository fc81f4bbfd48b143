#include "solver/executor/child/cgroup_mounts.hpp"

#include <algorithm>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

constexpr const char* cgroup_root = "/sys/fs/cgroup";

UniqueFd open_cgroup_root(int root) {
  auto fd = sys::open_in_root(root, cgroup_root, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) throw Error("there is no /sys/fs/cgroup", ErrorKind::not_found);
  return std::move(*fd);
}

void mount_v1(int root, const std::vector<CgroupMount>& mounts, unsigned attributes) {
  const UniqueFd all = new_filesystem("tmpfs", {{"source", "cgroup"}, {"mode", "0755"}}, no_code);
  for (const auto& mount : mounts) {
    sys::mkdirat(all.get(), mount.name, 0755);
    for (const auto& link : mount.links) {
      if (::symlinkat(mount.name.c_str(), all.get(), link.c_str()) != 0) {
        throw_errno("could not make the link " + quoted(link));
      }
    }
  }
  attach(all.get(), open_cgroup_root(root).get());
  for (const auto& mount : mounts) {
    const UniqueFd group = clone_tree(sys::open(mount.source, O_PATH | O_DIRECTORY).get());
    attach(group.get(), sys::openat(all.get(), mount.name, O_PATH | O_DIRECTORY).get());
    add_attributes(group.get(), attributes);
  }
  add_attributes(all.get(), attributes);
}

}  // namespace

std::vector<CgroupMount> find_cgroup_mounts(const std::vector<Hierarchy>& hierarchies,
                                            SecurityMode security) {
  std::vector<CgroupMount> out;
  const auto is_v1 = [](const Hierarchy& hierarchy) { return !hierarchy.v2; };
  if (std::ranges::none_of(hierarchies, is_v1)) return out;
  const std::string groups = sys::read_file("/proc/self/cgroup").value_or("");
  for (const auto& hierarchy : hierarchies) {
    if (!is_v1(hierarchy)) continue;
    const std::string dir = group_dir(hierarchy, groups);
    if (dir.empty()) continue;
    if (security != SecurityMode::insecure && is_top_group(hierarchy, dir)) continue;
    CgroupMount mount{dir, base_name(hierarchy.mount), {}};
    const auto taken = [&](const CgroupMount& other) { return other.name == mount.name; };
    if (std::ranges::any_of(out, taken)) continue;
    if (mount.name.find(',') != std::string::npos) mount.links = split(mount.name, ',');
    out.push_back(std::move(mount));
  }
  return out;
}

void mount_cgroups(int root, const std::vector<CgroupMount>& v1, SecurityMode security) {
  const bool writable = security == SecurityMode::insecure;
  const unsigned attributes = no_code | (writable ? 0u : unsigned{MOUNT_ATTR_RDONLY});
  with_context("could not mount the step's cgroups", [&] {
    struct statfs info{};
    if (::statfs(cgroup_root, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) {
      const UniqueFd v2 = new_filesystem("cgroup2", {{"source", "cgroup"}}, attributes);
      // The topmost group lacks that file; a step is in there if groups cannot be made.
      const bool all = ::faccessat(v2.get(), "cgroup.type", F_OK, 0) != 0;
      if (writable || !all) attach(v2.get(), open_cgroup_root(root).get());
    } else if (!v1.empty()) {
      mount_v1(root, v1, attributes);
    }
  });
}

}  // namespace lade::sandbox
