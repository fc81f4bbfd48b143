#include "solver/executor/child/overlay.hpp"

#include <array>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/kernel.hpp"
#include "base/mount_api.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

// All of them explicitly: their defaults are set by the distribution's kernel, and a layer written
// with another value would mean something else elsewhere.
const std::array<FsOption, 5> fixed_options{{{"index", "off"},
                                             {"metacopy", "off"},
                                             {"redirect_dir", "nofollow"},
                                             {"xino", "off"},
                                             {"nfs_export", "off"}}};

// fsconfig(2) takes strings of up to 255 bytes.
constexpr size_t max_option_value = 255;

/// Short names for paths: symlinks in a directory of the staging area, which becomes the working
/// directory.
class ShortNames {
 public:
  explicit ShortNames(Staging& staging) : dir_(staging.open_dir(staging.make_dir())) {}

  std::string add(const std::string& path) {
    std::string name = next_name();
    if (::symlinkat(path.c_str(), dir_.get(), name.c_str()) != 0) {
      throw_errno("could not name the layer " + quoted(path));
    }
    return name;
  }
  int dir() const { return dir_.get(); }

 private:
  // Base 36: 500 layers take some 1500 bytes of the page.
  std::string next_name() {
    std::string name;
    for (unsigned rest = count_++; name.empty() || rest > 0; rest /= 36) {
      name += "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
    }
    return name;
  }

  UniqueFd dir_;
  unsigned count_ = 0;
};

void enter(int dir) {
  if (::fchdir(dir) != 0) throw_errno("could not enter the staging area");
}

bool is_volatile(const Mount& mount) {
  return !mount.upper.empty();
}

UniqueFd mount_by_layer_options(const Mount& mount, const std::vector<std::string>& lowers,
                                Staging& staging) {
  ShortNames names(staging);
  enter(names.dir());
  const auto fitting = [&](const std::string& path) {
    return path.size() <= max_option_value ? path : names.add(path);
  };
  FsContext context("overlay");
  context.set("source", "overlay");
  for (const auto& lower : lowers) context.set("lowerdir+", fitting(lower));
  if (!mount.upper.empty()) {
    context.set("upperdir", fitting(mount.upper));
    context.set("workdir", fitting(mount.work));
  }
  for (const auto& option : fixed_options) context.set(option.key, option.value);
  // Without it, unmounting writes the host's whole filesystem out.
  if (is_volatile(mount)) context.set_flag("volatile");
  if (mount.userxattr) context.set_flag("userxattr");
  return context.mount(0);
}

/// mount(2) has nothing but errno to say which of hundreds of directories is to blame.
[[noreturn]] void fail_to_mount(const Mount& mount, const std::vector<std::string>& lowers) {
  const int err = errno;
  const std::string doing = fmt::format("could not mount an overlay of {} layers", lowers.size());
  const auto check = [&](const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
      throw_errno(fmt::format("{}: {}", doing, quoted(path)));
    }
    if (!S_ISDIR(info.st_mode)) {
      throw Error(fmt::format("{}: {} is not a directory", doing, quoted(path)));
    }
  };
  for (const auto& lower : lowers) check(lower);
  if (!mount.upper.empty()) {
    check(mount.upper);
    check(mount.work);
  }
  throw Error::from_errno(err, doing);
}

UniqueFd mount_by_option_string(const Mount& mount, const std::vector<std::string>& lowers,
                                Staging& staging) {
  ShortNames names(staging);
  std::vector<std::string> short_lowers;
  for (const auto& lower : lowers) short_lowers.push_back(names.add(lower));
  std::string options = "lowerdir=" + join(short_lowers, ":");
  if (!mount.upper.empty()) {
    options += ",upperdir=" + names.add(mount.upper) + ",workdir=" + names.add(mount.work);
  }
  for (const auto& option : fixed_options)
    options += fmt::format(",{}={}", option.key, option.value);
  if (is_volatile(mount)) options += ",volatile";
  if (mount.userxattr) options += ",userxattr";

  const std::string place = staging.make_dir();
  const std::string target = "../" + place;
  enter(names.dir());
  if (::mount("overlay", target.c_str(), "overlay", 0, options.c_str()) != 0) {
    fail_to_mount(mount, lowers);
  }
  return open_mount_at(staging.fd(), place);
}

}  // namespace

OverlayApi best_overlay_api() {
  // Asking the kernel for `lowerdir+` proves nothing: before 6.5 overlayfs takes any option and
  // fails only when the filesystem is made.
  constexpr KernelVersion first_with_options{6, 7};
  return kernel_version() >= first_with_options ? OverlayApi::layer_options
                                                : OverlayApi::option_string;
}

UniqueFd open_overlay(const Mount& mount, Staging& staging, OverlayApi api) {
  if (mount.lowers.empty()) throw Error("an overlay needs at least one lower directory");
  std::vector<std::string> lowers;
  for (const auto& lower : mount.lowers) lowers.push_back(join_path(mount.lower_base, lower));
  UniqueFd empty;
  if (mount.upper.empty() && lowers.size() == 1) {
    // Overlayfs wants two layers where nothing can be written. A plain bind would not do: whiteouts
    // and overlay's xattrs in the layer would be visible.
    empty = staging.open_dir(staging.make_dir());
    lowers.push_back(fmt::format("/proc/self/fd/{}", empty.get()));
  }
  return api == OverlayApi::layer_options ? mount_by_layer_options(mount, lowers, staging)
                                          : mount_by_option_string(mount, lowers, staging);
}

}  // namespace lade::sandbox
