#include "solver/executor/child/system_mounts.hpp"

#include <array>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"
#include "base/user_namespace.hpp"

namespace lade::sandbox {
namespace {

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

void mount_sys(int root, const ExecSpec& spec) {
  const bool writable = spec.security == SecurityMode::insecure;
  const unsigned attributes = no_code | (writable ? 0u : unsigned{MOUNT_ATTR_RDONLY});
  // It shows a network namespace's devices, whose owner only may mount it: root of a user namespace
  // is not the host network's.
  if (spec.network == NetworkMode::host && in_user_namespace()) {
    const UniqueFd sys = clone_tree(sys::open("/sys", O_PATH | O_DIRECTORY).get());
    add_attributes(sys.get(), no_code | unsigned{MOUNT_ATTR_RDONLY});
    return attach_at(root, "/sys", sys.get());
  }
  attach_at(root, "/sys", new_filesystem("sysfs", {{"source", "sysfs"}}, attributes).get());
}

/// Covers directories with one empty read-only tmpfs and files with /dev/null.
class Mask {
 public:
  Mask(int root, int null) : root_(root), null_(null) {}

  void cover(const char* path) {
    const auto target = sys::open_in_root(root_, path, O_PATH | O_NOFOLLOW);
    if (!target) return;
    const bool is_dir = S_ISDIR(sys::fstat(target->get()).st_mode);
    with_context([&] { return fmt::format("could not mask {}", path); },
                 [&] {
                   UniqueFd mask = is_dir ? empty_dir() : clone_tree(null_);
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

  int root_;
  int null_;
  UniqueFd empty_;
};

void protect(int root, const char* path) {
  const auto target = sys::open_in_root(root, path, O_PATH | O_NOFOLLOW);
  if (!target) return;
  with_context([&] { return fmt::format("could not write-protect {}", path); },
               [&] {
                 const UniqueFd bind = clone_tree(target->get());
                 attach(bind.get(), target->get());
                 make_read_only(bind.get());
               });
}

}  // namespace

void mount_system(int root, const ExecSpec& spec, const std::vector<CgroupMount>& cgroups) {
  attach_at(root, "/proc", new_filesystem("proc", {{"source", "proc"}}, no_code).get());
  mount_sys(root, spec);
  mount_cgroups(root, cgroups, spec.security);
}

void mask_paths(int root, int null) {
  Mask mask(root, null);
  for (const char* path : masked_paths) mask.cover(path);
  for (const char* path : read_only_paths) protect(root, path);
}

}  // namespace lade::sandbox
