#include "base/bind_remount.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

struct MountLine {
  int id = 0;
  int parent = 0;
  std::string place;        // as this process would write it
  unsigned long flags = 0;  // MS_*
};

struct FlagName {
  const char* option;
  unsigned long flag;
  uint64_t attribute;
};
constexpr std::array<FlagName, 4> flag_names{{{"ro", MS_RDONLY, MOUNT_ATTR_RDONLY},
                                              {"nosuid", MS_NOSUID, MOUNT_ATTR_NOSUID},
                                              {"nodev", MS_NODEV, MOUNT_ATTR_NODEV},
                                              {"noexec", MS_NOEXEC, MOUNT_ATTR_NOEXEC}}};
// No attribute of these, but a remount that does not name it takes it away.
constexpr unsigned long no_symlinks_flag = 256;

int number_of(std::string_view text) {
  int out = -1;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

/// The kernel writes blanks, line ends and backslashes as three octal digits.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int value = 0;
    const char* digits = text.data() + i + 1;
    const bool escaped = text[i] == '\\' && i + 3 < text.size() &&
                         std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3;
    out += escaped ? static_cast<char>(value) : text[i];
    if (escaped) i += 3;
  }
  return out;
}

unsigned long flags_of(std::string_view options) {
  unsigned long out = 0;
  for (const auto& option : split(options, ',')) {
    for (const auto& name : flag_names) {
      if (option == name.option) out |= name.flag;
    }
    if (option == "nosymfollow") out |= no_symlinks_flag;
  }
  return out;
}

/// "ID PARENT DEV ROOT MOUNTPOINT OPTIONS ..."
std::vector<MountLine> list_mounts() {
  std::vector<MountLine> out;
  for (const auto& line : split(sys::read_file("/proc/self/mountinfo").value_or(""), '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 6) continue;
    out.push_back(
        {number_of(fields[0]), number_of(fields[1]), unescaped(fields[4]), flags_of(fields[5])});
  }
  return out;
}

int mount_id_of(int fd) {
  const auto text = sys::read_file(fmt::format("/proc/self/fdinfo/{}", fd)).value_or("");
  for (const auto& line : split(text, '\n')) {
    if (line.starts_with("mnt_id:")) return number_of(trim(line.substr(7)));
  }
  throw Error("could not find out which mount a descriptor is of");
}

void remount(int mount_fd, unsigned long flags) {
  const std::string path = fmt::format("/proc/self/fd/{}", mount_fd);
  if (::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr) != 0) {
    throw_errno("could not change a mount's attributes");
  }
}

unsigned long flags_of_attributes(uint64_t attributes) {
  unsigned long out = 0;
  for (const auto& name : flag_names) {
    if ((attributes & name.attribute) != 0) out |= name.flag;
  }
  return out;
}

/// `place` as seen from the mount at `top`.
std::string place_below(const std::string& top, const std::string& place) {
  return top == "/" ? place : place.substr(std::min(top.size(), place.size()));
}

}  // namespace

void add_attributes_by_remount(int mount_fd, uint64_t attributes) {
  const unsigned long added = flags_of_attributes(attributes);
  const auto mounts = list_mounts();
  const int id = mount_id_of(mount_fd);
  const auto top = std::ranges::find(mounts, id, &MountLine::id);
  if (top == mounts.end()) throw Error("a mount without a place cannot be remounted");
  remount(mount_fd, top->flags | added);
  std::set<int> below = {id};
  // Whether the list has parents first is nowhere promised.
  for (size_t known = 0; known != below.size();) {
    known = below.size();
    for (const auto& mount : mounts) {
      if (below.contains(mount.parent)) below.insert(mount.id);
    }
  }
  for (const auto& mount : mounts) {
    if (mount.id == id || !below.contains(mount.id)) continue;
    const auto fd =
        sys::open_in_root(mount_fd, place_below(top->place, mount.place), O_PATH | O_NOFOLLOW);
    if (fd && mount_id_of(fd->get()) == mount.id) remount(fd->get(), mount.flags | added);
  }
}

}  // namespace lade::sandbox
