#include "solver/executor/cgroup/cgroup.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/user_namespace.hpp"

namespace lade::sandbox {
namespace {

/// What groups are limited by: the file of one, what is written to it, and docker's word for it.
struct Setting {
  const char* option;
  const char* file;
  std::string value;
};

std::vector<Setting> v1_settings(const CgroupLimits& limits) {
  std::vector<Setting> out;
  const auto add = [&](bool wanted, const char* option, const char* file, auto value) {
    if (wanted) out.push_back({option, file, fmt::format("{}", value)});
  };
  // Memory before swap: the kernel keeps the one from being above both.
  add(limits.memory != 0, "memory", "memory.limit_in_bytes", limits.memory);
  add(limits.memory_swap != 0, "memory-swap", "memory.memsw.limit_in_bytes", limits.memory_swap);
  add(limits.cpu_shares != 0, "cpu-shares", "cpu.shares", limits.cpu_shares);
  add(limits.cpu_period != 0, "cpu-period", "cpu.cfs_period_us", limits.cpu_period);
  add(limits.cpu_quota != 0, "cpu-quota", "cpu.cfs_quota_us", limits.cpu_quota);
  add(!limits.cpuset_cpus.empty(), "cpuset-cpus", "cpuset.cpus", limits.cpuset_cpus);
  add(!limits.cpuset_mems.empty(), "cpuset-mems", "cpuset.mems", limits.cpuset_mems);
  add(limits.pids != 0, "pids", "pids.max", limits.pids);
  return out;
}

/// As runc turns v1's shares (2 to 262144) into v2's weights (1 to 10000).
uint64_t weight_of_shares(uint64_t shares) {
  return 1 + (std::clamp<uint64_t>(shares, 2, 262144) - 2) * 9999 / 262142;
}

std::vector<Setting> v2_settings(const CgroupLimits& limits) {
  constexpr uint64_t kUsualPeriod = 100'000;
  std::vector<Setting> out;
  if (limits.memory != 0) {
    out.push_back({"memory", "memory.max", fmt::format("{}", limits.memory)});
  }
  if (limits.memory_swap != 0) {
    const bool any = limits.memory_swap < 0;
    const int64_t swap = limits.memory_swap - limits.memory;
    out.push_back({"memory-swap", "memory.swap.max", any ? "max" : fmt::format("{}", swap)});
  }
  if (limits.cpu_shares != 0) {
    const uint64_t weight = weight_of_shares(limits.cpu_shares);
    out.push_back({"cpu-shares", "cpu.weight", fmt::format("{}", weight)});
  }
  const std::string quota = limits.cpu_quota > 0 ? fmt::format("{}", limits.cpu_quota) : "max";
  const uint64_t period = limits.cpu_period > 0 ? limits.cpu_period : kUsualPeriod;
  const std::string share = fmt::format("{} {}", quota, period);
  if (limits.cpu_period != 0) out.push_back({"cpu-period", "cpu.max", share});
  if (limits.cpu_quota != 0) out.push_back({"cpu-quota", "cpu.max", share});
  if (!limits.cpuset_cpus.empty()) {
    out.push_back({"cpuset-cpus", "cpuset.cpus", limits.cpuset_cpus});
  }
  if (!limits.cpuset_mems.empty()) {
    out.push_back({"cpuset-mems", "cpuset.mems", limits.cpuset_mems});
  }
  if (limits.pids != 0) out.push_back({"pids", "pids.max", fmt::format("{}", limits.pids)});
  return out;
}

/// Those that the limits need.
std::vector<std::string> controllers_of(const CgroupLimits& limits) {
  std::vector<std::string> out;
  for (const auto& setting : v2_settings(limits)) {
    std::string controller(setting.file, std::strchr(setting.file, '.'));
    if (std::ranges::find(out, controller) == out.end()) out.push_back(std::move(controller));
  }
  return out;
}

uint64_t counter(const std::string& text, std::string_view key) {
  for (const auto& line : split(text, '\n')) {
    const auto fields = split(line, ' ');
    uint64_t value = 0;
    if (fields.size() == 2 && fields[0] == key) {
      std::from_chars(fields[1].data(), fields[1].data() + fields[1].size(), value);
      return value;
    }
  }
  return 0;
}

}  // namespace

StepCgroup StepCgroup::create(const std::string& parent, const std::string& name,
                              const CgroupLimits& limits) {
  // A cleaned path does not lead out of the hierarchy.
  const std::string above = clean_path("/" + parent);
  StepCgroup out;
  for (auto& hierarchy : find_hierarchies()) {
    if (::access(hierarchy.mount.c_str(), W_OK) != 0) continue;
    auto group = OwnGroup::make(hierarchy, join_path(above, name), controllers_of(limits));
    out.groups_.push_back({std::move(hierarchy), std::move(group)});
  }
  if (out.groups_.empty()) {
    throw Error(fmt::format(
        "no cgroup hierarchy is writable, so the step cannot run in cgroup {}{}", quoted(parent),
        in_user_namespace() ? ": limits and --cgroup-parent need root" : ""));
  }
  out.limit(limits);
  return out;
}

void StepCgroup::limit(const CgroupLimits& limits) const {
  std::set<std::string> missing;
  for (const auto& setting : v1_settings(limits)) missing.insert(setting.option);
  for (const auto& [hierarchy, group] : groups_) {
    for (const auto& setting : hierarchy.v2 ? v2_settings(limits) : v1_settings(limits)) {
      const std::string path = fmt::format("{}/{}", group.dir(), setting.file);
      if (::access(path.c_str(), F_OK) != 0) continue;
      write_setting(path, setting.value);
      missing.erase(setting.option);
    }
  }
  if (missing.empty()) return;
  const std::vector<std::string> names(missing.begin(), missing.end());
  throw Error(
      fmt::format("the cgroups of this machine cannot limit {} of the step", join(names, ", ")));
}

const OwnGroup* StepCgroup::v2_group() const {
  const auto found = std::ranges::find_if(groups_, [](const auto& in) { return in.hierarchy.v2; });
  return found == groups_.end() ? nullptr : &found->group;
}

const OwnGroup* StepCgroup::v1_group(std::string_view controller) const {
  const auto found =
      std::ranges::find_if(groups_, [&](const auto& in) { return in.hierarchy.has(controller); });
  return found == groups_.end() ? nullptr : &found->group;
}

void StepCgroup::enter_v1() const {
  for (const auto& [hierarchy, group] : groups_) {
    if (!hierarchy.v2) enter_group(group.dir());
  }
}

bool StepCgroup::out_of_memory() const {
  for (const auto& in : groups_) {
    for (const char* name : {"/memory.events", "/memory.oom_control"}) {
      const auto text = sys::read_file(in.group.dir() + name).value_or("");
      if (counter(text, "oom_kill") > 0) return true;
    }
  }
  return false;
}

bool StepCgroup::out_of_pids() const {
  return std::ranges::any_of(groups_, [](const auto& in) {
    return counter(sys::read_file(in.group.dir() + "/pids.events").value_or(""), "max") > 0;
  });
}

}  // namespace lade::sandbox
