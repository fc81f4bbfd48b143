#include "solver/executor/cgroup.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

/// Mount points of the cgroup hierarchies, from /proc/self/mountinfo:
/// "ID PARENT DEV ROOT MOUNTPOINT OPTIONS [TAGS...] - TYPE SOURCE SUPEROPTIONS".
std::vector<std::string> hierarchies() {
  std::vector<std::string> out;
  for (const auto& line : split(sys::read_file("/proc/self/mountinfo").value_or(""), '\n')) {
    const auto fields = split(line, ' ');
    for (size_t i = 5; i + 1 < fields.size(); ++i) {
      if (fields[i] != "-") continue;
      if (fields[i + 1] == "cgroup" || fields[i + 1] == "cgroup2") out.push_back(fields[4]);
      break;
    }
  }
  return out;
}

/// A v1 cpuset group takes no process before it has CPUs and memory nodes: those of its parent.
void inherit_cpuset(const std::string& dir) {
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    const auto own = sys::read_file(fmt::format("{}/{}", dir, name));
    if (!own || !trim(*own).empty()) continue;
    const auto inherited = sys::read_file(fmt::format("{}/{}", dir_name(dir), name));
    const UniqueFd file = sys::open(fmt::format("{}/{}", dir, name), O_WRONLY);
    sys::write_all(file.get(), inherited.value_or(""));
  }
}

bool is_v2(const std::string& dir) {
  return ::access((dir + "/cgroup.controllers").c_str(), F_OK) == 0;
}

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
  return out;
}

void write_setting(const std::string& path, const std::string& value) {
  const UniqueFd file = sys::open(path, O_WRONLY);
  with_context([&] { return fmt::format("could not write {} to {}", value, quoted(path)); },
               [&] { sys::write_all(file.get(), value); });
}

/// A v2 group has the files of those controllers only that the groups above it pass on.
void pass_controllers_on(const std::string& dir) {
  const auto there = split(trim(sys::read_file(dir + "/cgroup.controllers").value_or("")), ' ');
  const auto passed =
      split(trim(sys::read_file(dir + "/cgroup.subtree_control").value_or("")), ' ');
  for (const char* controller : {"memory", "cpu", "cpuset"}) {
    const auto has = [&](const auto& list) {
      return std::find(list.begin(), list.end(), controller) != list.end();
    };
    if (!has(there) || has(passed)) continue;
    write_setting(dir + "/cgroup.subtree_control", fmt::format("+{}", controller));
  }
}

void make_group(const std::string& hierarchy, const std::string& path, bool limited) {
  std::string dir = hierarchy;
  for (const auto& part : split(path, '/')) {
    if (part.empty()) continue;
    if (limited && is_v2(dir)) pass_controllers_on(dir);
    dir += "/" + part;
    if (::mkdir(dir.c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      throw_errno("could not make the cgroup " + quoted(dir));
    }
    if (::access((dir + "/cpuset.mems").c_str(), F_OK) == 0 && !is_v2(dir)) inherit_cpuset(dir);
  }
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
  // clean_path keeps ".." from leading out of the hierarchy.
  const std::string path = clean_path("/" + parent + "/" + name);
  StepCgroup group;
  for (const auto& hierarchy : hierarchies()) {
    if (::access(hierarchy.c_str(), W_OK) != 0) continue;
    group.dirs_.push_back(hierarchy + path);
    make_group(hierarchy, path, limits.any());
  }
  if (group.dirs_.empty()) {
    throw Error("no cgroup hierarchy is writable, so the step cannot run in cgroup " +
                quoted(parent));
  }
  group.limit(limits);
  return group;
}

void StepCgroup::limit(const CgroupLimits& limits) const {
  std::set<std::string> missing;
  for (const auto& setting : v1_settings(limits)) missing.insert(setting.option);
  for (const auto& dir : dirs_) {
    for (const auto& setting : is_v2(dir) ? v2_settings(limits) : v1_settings(limits)) {
      const std::string path = fmt::format("{}/{}", dir, setting.file);
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

StepCgroup& StepCgroup::operator=(StepCgroup&& other) noexcept {
  if (this != &other) {
    remove();
    dirs_ = std::move(other.dirs_);
    other.dirs_.clear();
  }
  return *this;
}

void StepCgroup::enter() const {
  for (const auto& dir : dirs_) {
    const UniqueFd file = sys::open(dir + "/cgroup.procs", O_WRONLY);
    with_context([&] { return "could not enter the cgroup " + quoted(dir); },
                 [&] { sys::write_all(file.get(), "0"); });
  }
}

bool StepCgroup::out_of_memory() const {
  for (const auto& dir : dirs_) {
    for (const char* name : {"/memory.events", "/memory.oom_control"}) {
      if (counter(sys::read_file(dir + name).value_or(""), "oom_kill") > 0) return true;
    }
  }
  return false;
}

void StepCgroup::remove() {
  // A group that still has processes (EBUSY) belongs to somebody who joined it from outside.
  for (const auto& dir : dirs_) ::rmdir(dir.c_str());
  dirs_.clear();
}

}  // namespace lade::sandbox
