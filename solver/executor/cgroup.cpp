#include "solver/executor/cgroup.hpp"

#include <cerrno>
#include <charconv>

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

void make_group(const std::string& hierarchy, const std::string& path) {
  std::string dir = hierarchy;
  for (const auto& part : split(path, '/')) {
    if (part.empty()) continue;
    dir += "/" + part;
    if (::mkdir(dir.c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      throw_errno("could not make the cgroup " + quoted(dir));
    }
    if (::access((dir + "/cpuset.mems").c_str(), F_OK) == 0 &&
        ::access((dir + "/cgroup.controllers").c_str(), F_OK) != 0) {
      inherit_cpuset(dir);
    }
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

StepCgroup StepCgroup::create(const std::string& parent, const std::string& name) {
  // clean_path keeps ".." from leading out of the hierarchy.
  const std::string path = clean_path("/" + parent + "/" + name);
  StepCgroup group;
  for (const auto& hierarchy : hierarchies()) {
    if (::access(hierarchy.c_str(), W_OK) != 0) continue;
    make_group(hierarchy, path);
    group.dirs_.push_back(hierarchy + path);
  }
  if (group.dirs_.empty()) {
    throw Error("no cgroup hierarchy is writable, so the step cannot run in cgroup " +
                quoted(parent));
  }
  return group;
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
