#include "solver/executor/cgroup/device_guard.hpp"

#include <cerrno>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/cgroup/device_rules.hpp"

namespace lade::sandbox {
namespace {

/// Into a group that has no groups below it yet.
void write_v1_rules(const std::string& dir) {
  write_setting(dir + "/devices.deny", "a");
  for (const auto& rule : v1_device_rules()) {
    try {
      write_setting(dir + "/devices.allow", rule);
    } catch (const Error& error) {
      // More than the group above has cannot be given: lade itself is a container's.
      if (error.errno_code() != EPERM) throw;
    }
  }
}

/// The path of a group within its hierarchy.
std::string path_in(const Hierarchy& hierarchy, const std::string& dir) {
  return dir.substr(hierarchy.mount.size());
}

std::string own_name() {
  return fmt::format("/lade-{}", ::getpid());
}

}  // namespace

DeviceGuard DeviceGuard::create(DeviceDefence first, const std::vector<Hierarchy>& hierarchies) {
  DeviceGuard guard;
  const std::string groups = sys::read_file("/proc/self/cgroup").value_or("");
  for (const auto defence : {DeviceDefence::cgroup_v2, DeviceDefence::cgroup_v1}) {
    if (defence < first) continue;
    for (const auto& hierarchy : hierarchies) {
      const std::string own = group_dir(hierarchy, groups);
      if (own.empty() || ::access(own.c_str(), W_OK) != 0) continue;
      const bool works = defence == DeviceDefence::cgroup_v2 ? guard.use_v2(hierarchy, own)
                                                             : guard.use_v1(hierarchy, own);
      if (works) return guard;
    }
  }
  return guard;
}

bool DeviceGuard::use_v2(const Hierarchy& hierarchy, const std::string& own) {
  if (!hierarchy.v2) return false;
  try {
    program_ = load_device_program();
    group_ = OwnGroup::make(hierarchy, path_in(hierarchy, own) + own_name());
    attach_device_program(program_.get(), group_.fd());
    // Below a threaded group there are none for whole processes.
    const auto type = sys::read_file(group_.dir() + "/cgroup.type").value_or("");
    if (trim(type) != "domain") throw Error("a " + std::string(trim(type)) + " group");
  } catch (const Error&) {
    group_ = {};
    return false;
  }
  defence_ = DeviceDefence::cgroup_v2;
  return true;
}

bool DeviceGuard::use_v1(const Hierarchy& hierarchy, const std::string& own) {
  if (!hierarchy.has("devices")) return false;
  try {
    group_ = OwnGroup::make(hierarchy, path_in(hierarchy, own) + own_name());
    write_v1_rules(group_.dir());
    enter_group(group_.dir());
  } catch (const Error&) {
    group_ = {};
    return false;
  }
  way_out_ = own;
  defence_ = DeviceDefence::cgroup_v1;
  return true;
}

bool DeviceGuard::is_there() const {
  return defence_ != DeviceDefence::cgroup_v2 || ::access(group_.dir().c_str(), F_OK) == 0;
}

/// A zygote outside would start steps that nothing guards: then rather none at all.
void DeviceGuard::come_back() const noexcept {
  try {
    enter_group(group_.dir());
  } catch (const Error&) {
    ::_exit(1);
  }
}

bool DeviceGuard::protect(const StepCgroup& group) const {
  try {
    if (defence_ == DeviceDefence::cgroup_v2 && group.v2_group() != nullptr) {
      attach_device_program(program_.get(), group.v2_group()->fd());
      return true;
    }
    if (defence_ == DeviceDefence::cgroup_v1 && group.v1_group("devices") != nullptr) {
      write_v1_rules(group.v1_group("devices")->dir());
      return true;
    }
  } catch (const Error&) {
    // The group above has rules that allow none below them, say.
  }
  return false;
}

}  // namespace lade::sandbox
