#include "solver/executor/child/dev_mounts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/user_namespace.hpp"

namespace lade::sandbox {
namespace {

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

/// Fills the directory that becomes /dev. In a user namespace nobody makes devices: the host's are
/// bound over empty files then, once the directory is attached. Whoever is root there only can
/// change neither their owner nor their mode.
class DevFiller {
 public:
  explicit DevFiller(int dev) : dev_(dev) {}

  void fill(SecurityMode security);
  /// Of what fill() made files for.
  void bind_nodes(int attached) const;

 private:
  void make_node(int dir, const std::string& path, mode_t mode, dev_t device);
  void copy_devices(int from, int to, const std::string& prefix);

  int dev_;
  std::vector<std::string> bound_;  // paths below /dev
};

void DevFiller::make_node(int dir, const std::string& path, mode_t mode, dev_t device) {
  const std::string name = base_name(path);
  if (in_user_namespace()) {
    sys::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    bound_.push_back(path);
  } else if (::mknodat(dir, name.c_str(), mode, device) != 0) {
    throw_errno(fmt::format("could not make the device {}", quoted("/dev/" + path)));
  }
}

void DevFiller::bind_nodes(int attached) const {
  for (const auto& path : bound_) {
    const auto node = sys::try_openat(AT_FDCWD, "/dev/" + path, O_PATH | O_NOFOLLOW);
    if (!node) throw_errno(fmt::format("could not find the machine's {}", quoted("/dev/" + path)));
    attach(clone_tree(node->get()).get(), sys::openat(attached, path, O_PATH | O_NOFOLLOW).get());
  }
}

/// Copies the host's device nodes below `from` to `to`. What is no device (links, sockets, the
/// mounts that a sandbox has its own of) stays behind.
void DevFiller::copy_devices(int from, int to, const std::string& prefix) {
  for (const auto& name : sys::list_dir(from)) {
    const auto info = sys::lstatat(from, name);
    if (!info) continue;
    const std::string path = prefix + name;
    if (S_ISCHR(info->st_mode) || S_ISBLK(info->st_mode)) {
      if (sys::lstatat(to, name)) continue;
      make_node(to, path, info->st_mode, info->st_rdev);
      if (in_user_namespace()) continue;
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

void DevFiller::fill(SecurityMode security) {
  for (const auto& node : minimal_devices) {
    make_node(dev_, node.name, S_IFCHR | 0666, makedev(node.major, node.minor));
  }
  for (const auto& link : device_links) {
    if (::symlinkat(link.to, dev_, link.name) != 0) {
      throw_errno(fmt::format("could not make the link '/dev/{}'", link.name));
    }
  }
  for (const char* dir : {"pts", "shm", "mqueue"}) sys::mkdirat(dev_, dir, 0755);
  if (security == SecurityMode::insecure) {
    // "ptmx" is a device on the host and must stay the sandbox's link: lstatat sees it and skips.
    const UniqueFd host = sys::open("/dev", O_RDONLY | O_DIRECTORY);
    copy_devices(host.get(), dev_, "");
  }
}

UniqueFd new_devpts() {
  constexpr unsigned kAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  const FsOption source{"source", "devpts"};
  const FsOption mode{"mode", "0620"};
  const FsOption ptmx{"ptmxmode", "0666"};
  try {
    // gid 5 is "tty" on every distribution; getpt(3) expects it.
    return new_filesystem("devpts", {source, mode, ptmx, {"gid", "5"}}, kAttributes);
  } catch (const Error& error) {
    if (error.errno_code() != EINVAL || !in_user_namespace()) throw;
    return new_filesystem("devpts", {source, mode, ptmx}, kAttributes);  // it has no such group
  }
}

/// An empty tmpfs, as the caller's request for one at /dev sizes it.
UniqueFd make_dev(const ExecSpec& spec) {
  const auto asked = std::ranges::find_if(spec.mounts, is_dev);
  FsContext context("tmpfs");
  context.set("source", "tmpfs");
  context.set("mode", "0755");
  if (asked == spec.mounts.end()) {
    context.set("size", "64m");
  } else if (asked->size_bytes > 0) {
    context.set("size", fmt::format("{}", asked->size_bytes));
  }
  return context.mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
}

/// Attaches /dev without devices and each node as a mount with, so that none works that is made
/// there. (Binding the host's nodes would let a step change their owner and mode.)
void attach_single_nodes(int root, int dev, Staging& staging) {
  // Parts are copied from attached mounts only.
  attach(dev, staging.open_dir(staging.make_dir()).get());
  const UniqueFd directory = clone_tree(dev);
  attach_at(root, "/dev", directory.get());
  make_nodev(directory.get());
  for (const auto& node : minimal_devices) {
    const UniqueFd single = clone_tree(sys::openat(dev, node.name, O_PATH).get());
    attach(single.get(), sys::openat(directory.get(), node.name, O_PATH).get());
  }
}

}  // namespace

bool is_dev(const Mount& mount) {
  return mount.kind == MountKind::tmpfs && clean_path("/" + mount.target) == "/dev";
}

void mount_dev(int root, const ExecSpec& spec, Nodes nodes, Staging& staging) {
  const UniqueFd dev = make_dev(spec);
  DevFiller filler(dev.get());
  filler.fill(spec.security);
  if (in_user_namespace()) {
    attach_at(root, "/dev", dev.get());
    filler.bind_nodes(dev.get());
  } else if (nodes == Nodes::in_dev) {
    attach_single_nodes(root, dev.get(), staging);
  } else {
    attach_at(root, "/dev", dev.get());
  }
  attach_at(root, "/dev/pts", new_devpts().get());
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

}  // namespace lade::sandbox
