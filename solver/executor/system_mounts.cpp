#include "solver/executor/system_mounts.hpp"

#include <array>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "solver/executor/mount_api.hpp"

namespace lade::sandbox {
namespace {

constexpr unsigned no_code = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// Docker's defaults. /proc/interrupts and the thermal_throttle files are in newer ones against
// side channels.
constexpr std::array masked_paths = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
};
constexpr std::array read_only_paths = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

struct DeviceNode {
  const char* name;
  unsigned major;
  unsigned minor;
};
constexpr std::array<DeviceNode, 6> minimal_devices{{{"null", 1, 3},
                                                     {"zero", 1, 5},
                                                     {"full", 1, 7},
                                                     {"random", 1, 8},
                                                     {"urandom", 1, 9},
                                                     {"tty", 5, 0}}};

struct Link {
  const char* name;
  const char* to;
};
constexpr std::array<Link, 5> device_links{{{"ptmx", "pts/ptmx"},
                                            {"fd", "/proc/self/fd"},
                                            {"stdin", "/proc/self/fd/0"},
                                            {"stdout", "/proc/self/fd/1"},
                                            {"stderr", "/proc/self/fd/2"}}};

void attach_at(int root, const char* target, int mount_fd) {
  with_context([&] { return fmt::format("could not mount {}", target); },
               [&] {
                 // Not through a symlink: an image must not choose where /proc really is.
                 const auto fd = sys::open_in_root(root, target, O_PATH | O_DIRECTORY | O_NOFOLLOW);
                 if (!fd) {
                   throw Error("the root filesystem has no such directory", ErrorKind::not_found);
                 }
                 attach(mount_fd, fd->get());
               });
}

void make_node(int dev, const std::string& name, mode_t mode, dev_t device) {
  if (::mknodat(dev, name.c_str(), mode, device) != 0) {
    throw_errno(fmt::format("could not make the device {}", quoted("/dev/" + name)));
  }
}

/// Copies the host's device nodes below `from` to `to`. What is no device (links, sockets, the
/// mounts that a sandbox has its own of) stays behind.
void copy_devices(int from, int to, const std::string& prefix) {
  for (const auto& name : sys::list_dir(from)) {
    const auto info = sys::lstatat(from, name);
    if (!info) continue;
    const std::string path = prefix + name;
    if (S_ISCHR(info->st_mode) || S_ISBLK(info->st_mode)) {
      if (sys::lstatat(to, name)) continue;
      make_node(to, name, info->st_mode, info->st_rdev);
      if (::fchownat(to, name.c_str(), info->st_uid, info->st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno("could not set the owner of " + quoted("/dev/" + path));
      }
    } else if (S_ISDIR(info->st_mode) && path != "pts" && path != "shm" && path != "mqueue") {
      const auto source = sys::try_openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!source) continue;
      sys::mkdirat(to, name, 0755);
      copy_devices(source->get(), sys::openat(to, name, O_PATH | O_DIRECTORY).get(), path + "/");
    }
  }
}

void fill_dev(int dev, SecurityMode security) {
  for (const auto& node : minimal_devices) {
    make_node(dev, node.name, S_IFCHR | 0666, makedev(node.major, node.minor));
  }
  for (const auto& link : device_links) {
    if (::symlinkat(link.to, dev, link.name) != 0) {
      throw_errno(fmt::format("could not make the link '/dev/{}'", link.name));
    }
  }
  for (const char* dir : {"pts", "shm", "mqueue"}) sys::mkdirat(dev, dir, 0755);
  if (security == SecurityMode::insecure) {
    // "ptmx" is a device on the host and must stay the sandbox's link: lstatat sees it and skips.
    const UniqueFd host = sys::open("/dev", O_RDONLY | O_DIRECTORY);
    copy_devices(host.get(), dev, "");
  }
}

void mount_dev(int root, const ExecSpec& spec) {
  const UniqueFd dev =
      new_filesystem("tmpfs", {{"source", "tmpfs"}, {"mode", "0755"}, {"size", "64m"}},
                     MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
  fill_dev(dev.get(), spec.security);
  attach_at(root, "/dev", dev.get());
  // gid 5 is "tty" on every distribution; getpt(3) expects it.
  const UniqueFd pts = new_filesystem(
      "devpts", {{"source", "devpts"}, {"mode", "0620"}, {"ptmxmode", "0666"}, {"gid", "5"}},
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  attach_at(root, "/dev/pts", pts.get());
  const UniqueFd shm = new_filesystem(
      "tmpfs", {{"source", "shm"}, {"mode", "1777"}, {"size", fmt::format("{}", spec.shm_bytes)}},
      no_code);
  attach_at(root, "/dev/shm", shm.get());
  try {
    const UniqueFd mqueue = new_filesystem("mqueue", {{"source", "mqueue"}}, no_code);
    attach_at(root, "/dev/mqueue", mqueue.get());
  } catch (const Error& error) {
    if (error.errno_code() != ENODEV) throw;  // a kernel without POSIX message queues
  }
}

void mount_sys(int root, const ExecSpec& spec) {
  const bool writable = spec.security == SecurityMode::insecure;
  const unsigned attributes = no_code | (writable ? 0u : unsigned{MOUNT_ATTR_RDONLY});
  attach_at(root, "/sys", new_filesystem("sysfs", {{"source", "sysfs"}}, attributes).get());
  // On cgroup v1 and hybrid hosts /sys/fs/cgroup stays empty: the step has no limits of its own
  // there that a program could want to read.
  struct statfs info{};
  if (::statfs("/sys/fs/cgroup", &info) != 0 || info.f_type != CGROUP2_SUPER_MAGIC) return;
  attach_at(root, "/sys/fs/cgroup",
            new_filesystem("cgroup2", {{"source", "cgroup"}}, attributes).get());
}

/// Covers directories with one empty read-only tmpfs and files with /dev/null.
class Mask {
 public:
  explicit Mask(int root) : root_(root) {}

  void cover(const char* path) {
    const auto target = sys::open_in_root(root_, path, O_PATH | O_NOFOLLOW);
    if (!target) return;
    const bool is_dir = S_ISDIR(sys::fstat(target->get()).st_mode);
    with_context([&] { return fmt::format("could not mask {}", path); },
                 [&] {
                   UniqueFd mask = is_dir ? empty_dir() : clone_tree(null_device().get());
                   attach(mask.get(), target->get());
                   if (is_dir && !empty_) empty_ = std::move(mask);
                 });
  }

 private:
  /// The first one is a filesystem, the others are binds of it: a bind costs a tenth.
  UniqueFd empty_dir() {
    if (empty_) return clone_tree(empty_.get());
    return new_filesystem("tmpfs", {{"source", "tmpfs"}, {"mode", "0755"}},
                          no_code | MOUNT_ATTR_RDONLY);
  }
  UniqueFd null_device() const {
    auto fd = sys::open_in_root(root_, "/dev/null", O_PATH | O_NOFOLLOW);
    if (!fd) throw Error("the root filesystem has no /dev/null");
    return std::move(*fd);
  }

  int root_;
  UniqueFd empty_;
};

void protect(int root, const char* path) {
  const auto target = sys::open_in_root(root, path, O_PATH | O_NOFOLLOW);
  if (!target) return;
  with_context([&] { return fmt::format("could not write-protect {}", path); },
               [&] {
                 const UniqueFd bind = clone_tree(target->get());
                 make_read_only(bind.get());
                 attach(bind.get(), target->get());
               });
}

}  // namespace

void mount_system(int root, const ExecSpec& spec) {
  attach_at(root, "/proc", new_filesystem("proc", {{"source", "proc"}}, no_code).get());
  mount_sys(root, spec);
  mount_dev(root, spec);
}

void mask_paths(int root) {
  Mask mask(root);
  for (const char* path : masked_paths) mask.cover(path);
  for (const char* path : read_only_paths) protect(root, path);
}

}  // namespace lade::sandbox
