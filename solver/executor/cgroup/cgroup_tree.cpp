#include "solver/executor/cgroup/cgroup_tree.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

constexpr const char* made_mark = "trusted.lade.made";
constexpr std::string_view passed_mark = "trusted.lade.passed.";  // and the controller's name

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

/// Nothing where there is no such file, or no such group any more.
std::string text_of(const std::string& path) {
  try {
    return std::string(trim(sys::read_file(path).value_or("")));
  } catch (const Error&) {
    return "";
  }
}

std::vector<std::string> words_of(const std::string& path) {
  return split(text_of(path), ' ');
}

bool has_mark(const std::string& dir, const std::string& name) {
  return ::getxattr(dir.c_str(), name.c_str(), nullptr, 0) >= 0;
}

UniqueFd open_group(const std::string& dir) {
  return UniqueFd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// False if the group is gone. What is marked before it goes is seen by who removes it. A kernel
/// that keeps no marks is none of a caller's business.
bool mark(const std::string& dir, const std::string& name) {
  const UniqueFd fd = open_group(dir);
  if (!fd) return false;
  ::fsetxattr(fd.get(), name.c_str(), "", 0, 0);
  struct stat now{};
  return ::stat(dir.c_str(), &now) == 0 && now.st_ino == sys::fstat(fd.get()).st_ino;
}

// -- hierarchies

/// "ID PARENT DEV ROOT MOUNTPOINT OPTIONS [TAGS...] - TYPE SOURCE SUPEROPTIONS"
std::optional<Hierarchy> parse_mount(const std::vector<std::string>& fields) {
  size_t dash = 6;
  while (dash < fields.size() && fields[dash] != "-") ++dash;
  if (dash + 3 >= fields.size()) return std::nullopt;
  const std::string& type = fields[dash + 1];
  if (type != "cgroup" && type != "cgroup2") return std::nullopt;
  Hierarchy out;
  out.root = fields[3];
  out.mount = fields[4];
  out.v2 = type == "cgroup2";
  if (!out.v2) out.controllers = split(fields[dash + 3], ',');
  return out;
}

// -- controllers, which a v2 group has files of only if all groups above pass them on

struct Default {
  const char* controller;
  const char* file;
  const char* value;
};
// With these settings a group makes no use of a controller.
constexpr std::array<Default, 11> defaults{{{"memory", "memory.max", "max"},
                                            {"memory", "memory.high", "max"},
                                            {"memory", "memory.low", "0"},
                                            {"memory", "memory.min", "0"},
                                            {"memory", "memory.swap.max", "max"},
                                            {"cpu", "cpu.max", "max 100000"},
                                            {"cpu", "cpu.weight", "100"},
                                            {"cpuset", "cpuset.cpus", ""},
                                            {"cpuset", "cpuset.mems", ""},
                                            {"cpuset", "cpuset.cpus.partition", "member"},
                                            {"pids", "pids.max", "max"}}};

bool uses(const std::string& dir, const std::string& controller) {
  if (contains(words_of(dir + "/cgroup.subtree_control"), controller)) return true;
  return std::ranges::any_of(defaults, [&](const Default& setting) {
    if (controller != setting.controller) return false;
    const std::string file = fmt::format("{}/{}", dir, setting.file);
    return ::access(file.c_str(), F_OK) == 0 && text_of(file) != setting.value;
  });
}

/// Those whose names are `wanted`. Of a group that is gone, none.
std::vector<std::string> groups_in(const std::string& dir, bool (*wanted)(std::string_view)) {
  std::vector<std::string> out;
  try {
    const auto fd = sys::try_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    if (!fd) return out;
    for (const auto& name : sys::list_dir(fd->get())) {
      if (!wanted(name)) continue;
      const auto info = sys::lstatat(fd->get(), name);
      if (info && S_ISDIR(info->st_mode)) out.push_back(fmt::format("{}/{}", dir, name));
    }
  } catch (const Error&) {
    // It went while it was read.
  }
  return out;
}

bool is_any_name(std::string_view) {
  return true;
}

/// "lade-PID" and "lade-PID-STEP".
bool is_own_name(std::string_view name) {
  constexpr std::string_view prefix = "lade-";
  return name.starts_with(prefix) && name.size() > prefix.size() &&
         name.find_first_not_of("0123456789-", prefix.size()) == std::string_view::npos;
}

/// Stops passing a controller on that lade was the first to need, unless somebody has come to need
/// it. If that is lade again, it falls to the groups that are there now: all that use it are
/// marked, since one that another process has just made may not have lade's mark yet.
void withdraw(const std::string& dir, const std::string& controller) {
  const std::string passed = fmt::format("{}{}", passed_mark, controller);
  constexpr int tries = 100;
  for (int i = 0; i < tries; ++i) {
    bool in_use = false;
    bool all_marked = true;
    for (const auto& group : groups_in(dir, is_any_name)) {
      if (!uses(group, controller)) continue;
      in_use = true;
      all_marked = mark(group, passed) && all_marked;
    }
    if (in_use && all_marked) return;
    if (in_use) continue;  // one went before it could be marked
    const UniqueFd file(::open((dir + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
    const std::string change = "-" + controller;
    if (::write(file.get(), change.data(), change.size()) > 0 || errno != EBUSY) return;
  }
}

[[noreturn]] void fail_for_processes(const std::string& dir) {
  throw Error(fmt::format(
      "cgroup {} has processes of its own, so it cannot limit groups below it; name a parent "
      "without any",
      quoted(dir)));
}

/// Returns those that had not been passed on before.
std::vector<std::string> pass_on(const std::string& dir,
                                 const std::vector<std::string>& controllers) {
  std::vector<std::string> out;
  if (controllers.empty()) return out;
  const auto there = words_of(dir + "/cgroup.controllers");
  const auto passed = words_of(dir + "/cgroup.subtree_control");
  for (const auto& controller : controllers) {
    if (!contains(there, controller) || contains(passed, controller)) continue;
    try {
      write_setting(dir + "/cgroup.subtree_control", "+" + controller);
    } catch (const Error& error) {
      // The group itself is gone, or the one above does not pass this one on any more.
      if (error.errno_code() == ENOENT || error.errno_code() == ENODEV) break;
      if (error.errno_code() != EBUSY) throw;
      fail_for_processes(dir);
    }
    out.push_back(controller);
  }
  return out;
}

/// A v1 cpuset group takes no process before it has CPUs and memory nodes: those of its parent.
void inherit_cpuset(const std::string& dir) {
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    const auto own = sys::read_file(fmt::format("{}/{}", dir, name));
    if (!own || !trim(*own).empty()) continue;
    const auto inherited = sys::read_file(fmt::format("{}/{}", dir_name(dir), name));
    write_setting(fmt::format("{}/{}", dir, name), inherited.value_or(""));
  }
}

// -- making and removing

/// Makes the directories of one path, and remembers over several tries what it changed.
class Path {
 public:
  Path(const Hierarchy& hierarchy, const std::string& path,
       const std::vector<std::string>& controllers)
      : hierarchy_(hierarchy), controllers_(controllers) {
    for (auto& part : split(clean_path("/" + path), '/')) {
      if (!part.empty()) parts_.push_back(std::move(part));
    }
  }

  std::string dir() const { return fmt::format("{}/{}", hierarchy_.mount, join(parts_, "/")); }

  /// False if a group was removed by somebody while we were at it.
  bool make() {
    std::string dir = hierarchy_.mount;
    for (const auto& part : parts_) {
      if (hierarchy_.v2) {
        const auto passed = pass_on(dir, controllers_);
        passed_[dir].insert(passed.begin(), passed.end());
      }
      const std::string parent = dir;
      dir += "/" + part;
      const bool last = &part == &parts_.back();
      const bool made = ::mkdir(dir.c_str(), 0755) == 0;
      if (!made && errno == ENOENT) return false;
      if (!made && (errno != EEXIST || last)) {
        throw_errno("could not make the cgroup " + quoted(dir));
      }
      if (made && !hierarchy_.v2) inherit_cpuset(dir);
      // The last one is marked when it is locked.
      if (made && !last && !mark(dir, made_mark)) return false;
      if (!mark_passed(parent, dir)) return false;
    }
    return true;
  }

  /// Whether it got the controllers that the hierarchy has. Those above may have been withdrawn
  /// from a path that looked unused.
  bool is_complete() const {
    if (!hierarchy_.v2 || controllers_.empty()) return true;
    const auto all = words_of(hierarchy_.mount + "/cgroup.controllers");
    const auto own = words_of(dir() + "/cgroup.controllers");
    return std::ranges::all_of(controllers_, [&](const auto& controller) {
      return !contains(all, controller) || contains(own, controller);
    });
  }

 private:
  /// Also of a group that is not marked as lade's, since another process may be about to do that.
  bool mark_passed(const std::string& parent, const std::string& dir) {
    return std::ranges::all_of(passed_[parent], [&](const auto& controller) {
      return mark(dir, fmt::format("{}{}", passed_mark, controller));
    });
  }

  const Hierarchy& hierarchy_;
  const std::vector<std::string>& controllers_;
  std::vector<std::string> parts_;
  std::map<std::string, std::set<std::string>> passed_;  // by the group that passes them on
};

bool remove_group(const std::string& dir) {
  const UniqueFd fd = open_group(dir);
  if (::rmdir(dir.c_str()) != 0) return false;
  if (!fd) return true;
  // Not before: marks came until now.
  for (const auto& xattr : sys::list_xattrs(fd.get())) {
    if (!xattr.name.starts_with(passed_mark)) continue;
    withdraw(dir_name(dir), xattr.name.substr(passed_mark.size()));
  }
  return true;
}

/// A name that nobody has. Another lade that has the same number in a PID namespace of its own may.
std::string free_path(const Hierarchy& hierarchy, const std::string& path) {
  const auto is_free = [&](const std::string& candidate) {
    return ::access((hierarchy.mount + candidate).c_str(), F_OK) != 0;
  };
  if (is_free(path)) return path;
  sweep_groups(hierarchy, hierarchy.mount + dir_name(path));
  std::string candidate = path;
  for (int i = 2; !is_free(candidate); ++i) candidate = fmt::format("{}-{}", path, i);
  return candidate;
}

/// With the groups that an insecure step may have made in it.
void remove_groups(const std::string& dir) {
  std::vector<std::string> all = {dir};
  for (size_t i = 0; i < all.size(); ++i) {
    for (auto& group : groups_in(all[i], is_any_name)) all.push_back(std::move(group));
  }
  while (!all.empty()) {
    remove_group(all.back());
    all.pop_back();
  }
}

}  // namespace

bool Hierarchy::has(std::string_view controller) const {
  return contains(controllers, controller);
}

std::vector<Hierarchy> find_hierarchies() {
  std::vector<Hierarchy> out;
  std::set<dev_t> seen;
  for (const auto& line : split(sys::read_file("/proc/self/mountinfo").value_or(""), '\n')) {
    auto found = parse_mount(split(line, ' '));
    struct stat info{};
    if (!found || ::stat(found->mount.c_str(), &info) != 0) continue;
    if (seen.insert(info.st_dev).second) out.push_back(std::move(*found));
  }
  return out;
}

std::string group_dir(const Hierarchy& hierarchy, std::string_view groups) {
  for (const auto& line : split(groups, '\n')) {
    // "ID:CONTROLLERS:PATH"; v2 has none.
    const auto fields = split(line, ':');
    if (fields.size() < 3) continue;
    const bool same = hierarchy.v2 ? fields[1].empty() && fields[0] == "0"
                                   : hierarchy.has(split(fields[1], ',').front());
    if (!same) continue;
    const std::string path = line.substr(fields[0].size() + fields[1].size() + 2);
    if (path == hierarchy.root) return hierarchy.mount;
    // "/.." begins a path above the root of the cgroup namespace.
    if (path.starts_with("/..")) return "";
    if (hierarchy.root == "/") return hierarchy.mount + path;
    if (!path.starts_with(hierarchy.root + "/")) return "";
    return hierarchy.mount + path.substr(hierarchy.root.size());
  }
  return "";
}

bool is_top_group(const Hierarchy& hierarchy, const std::string& dir) {
  const auto has = [&](const char* file) { return ::access((dir + file).c_str(), F_OK) == 0; };
  return hierarchy.v2 ? !has("/cgroup.type") : has("/release_agent");
}

OwnGroup& OwnGroup::operator=(OwnGroup&& other) noexcept {
  if (this != &other) {
    remove();
    top_ = std::move(other.top_);
    dir_ = std::move(other.dir_);
    fd_ = std::move(other.fd_);
  }
  return *this;
}

OwnGroup OwnGroup::make(const Hierarchy& hierarchy, const std::string& path,
                        const std::vector<std::string>& controllers) {
  Path wanted(hierarchy, free_path(hierarchy, path), controllers);
  const std::string dir = wanted.dir();
  constexpr int tries = 100;  // each lost to another process that did get on
  for (int i = 0; i < tries; ++i) {
    if (!wanted.make()) continue;
    UniqueFd fd = open_group(dir);
    if (!fd) continue;
    // Before the mark, so that nobody takes it for a leftover. Only who holds its lock in jest can
    // make this fail; then it is never swept.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) mark(dir, made_mark);
    OwnGroup group(hierarchy.mount, dir, std::move(fd));
    // `cpu`, `cpuset` and `pids` can be passed on beside processes, but to threads only.
    if (text_of(dir + "/cgroup.type") == "domain invalid") fail_for_processes(dir_name(dir));
    if (wanted.is_complete() || i + 1 == tries) return group;
  }
  throw Error("the cgroup " + quoted(dir) + " was removed again and again while it was made");
}

void OwnGroup::remove() {
  if (!fd_) return;
  constexpr int tries = 5;  // a process may have been waited for and still not be out of its group
  for (int i = 0; i < tries && !remove_group(dir_) && errno == EBUSY; ++i) {
    remove_groups(dir_);
    ::usleep(1000);
  }
  fd_.reset();
  for (std::string dir = dir_name(dir_); dir.size() > top_.size(); dir = dir_name(dir)) {
    const bool ours = has_mark(dir, made_mark) || dir == top_ + kDefaultParent;
    if (!ours || !remove_group(dir)) break;
  }
}

void enter_group(const std::string& dir) {
  const UniqueFd file = sys::open(dir + "/cgroup.procs", O_WRONLY);
  with_context([&] { return "could not enter the cgroup " + quoted(dir); },
               [&] { sys::write_all(file.get(), "0"); });
}

void write_setting(const std::string& path, const std::string& value) {
  const UniqueFd file = sys::open(path, O_WRONLY);
  with_context([&] { return fmt::format("could not write {} to {}", value, quoted(path)); },
               [&] { sys::write_all(file.get(), value); });
}

void sweep_groups(const Hierarchy& hierarchy, const std::string& dir) {
  for (const auto& group : groups_in(dir, is_own_name)) {
    if (!has_mark(group, made_mark)) continue;
    UniqueFd fd = open_group(group);
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    const OwnGroup leftover(hierarchy.mount, group, std::move(fd));  // ends here
  }
}

void sweep_groups(const std::vector<Hierarchy>& hierarchies) {
  const std::string groups = sys::read_file("/proc/self/cgroup").value_or("");
  for (const auto& hierarchy : hierarchies) {
    if (::access(hierarchy.mount.c_str(), W_OK) != 0) continue;
    sweep_groups(hierarchy, hierarchy.mount + kDefaultParent);
    if (!hierarchy.v2 && !hierarchy.has("devices")) continue;
    if (const auto own = group_dir(hierarchy, groups); !own.empty()) sweep_groups(hierarchy, own);
  }
}

}  // namespace lade::sandbox
