#include "solver/source/filesystem.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

int64_t as_nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * kSecondNs + time.tv_nsec;
}

enum class Kind {
  local,       ///< stamped by this kernel
  stacked,     ///< the same, but it may show another filesystem's files
  image,       ///< made once, elsewhere, with whatever times
  no_change,   ///< local, without a change time
  served,      ///< stamped elsewhere
  unreliable,  ///< stamped by who knows what
};

Kind kind_of(uint64_t magic) {
  switch (magic) {
    case 0xEF53:      // ext2, ext3, ext4
    case 0x58465342:  // XFS
    case 0x9123683E:  // Btrfs
    case 0xF2F52010:  // F2FS
    case 0xCA451A4E:  // bcachefs
    case 0x2FC12FC1:  // ZFS
    case 0x3153464A:  // JFS
    case 0x52654973:  // ReiserFS
    case 0x3434:      // NILFS
    case 0x24051905:  // UBIFS
    case 0x482B:      // HFS+
    case 0x7366746E:  // NTFS3
    case 0x01021994:  // tmpfs
    case 0x858458F6:  // ramfs
      return Kind::local;
    case 0x794C7630:  // overlayfs
    case 0xF15F:      // eCryptfs
      return Kind::stacked;
    case 0x73717368:  // squashfs
    case 0xE0F5E1E2:  // EROFS
    case 0x9660:      // ISO 9660
    case 0x28CD3D45:  // cramfs
    case 0x7275:      // romfs
      return Kind::image;
    case 0x4D44:      // FAT
    case 0x2011BAB0:  // exFAT
      return Kind::no_change;
    case 0x6969:      // NFS
    case 0xFF534D42:  // CIFS
    case 0xFE534D42:  // SMB2
    case 0x01021997:  // 9P
    case 0x00C36400:  // Ceph
    case 0x01161970:  // GFS2
    case 0x7461636F:  // OCFS2
    case 0x0BD00BD0:  // Lustre
      return Kind::served;
    default:  // FUSE above all
      return Kind::unreliable;
  }
}

/// The part of struct statx up to the mount's ID, which the C library of Debian 12 does not name.
struct MountStatx {
  uint32_t mask;
  char unused[140];
  uint64_t mount_id;
  char rest[256 - 152];
};
static_assert(sizeof(MountStatx) == 256);

std::optional<uint64_t> mount_id(int fd, uint32_t which) {
  MountStatx info{};
  const long failed = ::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, which, &info);
  if (failed != 0 || (info.mask & which) == 0) return std::nullopt;
  return info.mount_id;
}

/// Never given again while the machine is up. Since Linux 6.8.
std::optional<uint64_t> unique_mount_id(int fd) {
  constexpr uint32_t kStatxMountIdUnique = 0x4000;
  return mount_id(fd, kStatxMountIdUnique);
}

/// Whether nobody can write, by no mount: one that is only mounted read-only here changes like
/// others.
bool is_read_only_everywhere(int fd) {
  constexpr uint32_t kStatxMountId = 0x1000;
  const auto id = mount_id(fd, kStatxMountId);
  const auto mounts = id ? sys::read_file("/proc/self/mountinfo") : std::nullopt;
  if (!mounts) return true;  // for all that is known
  for (const auto& line : split(*mounts, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.empty() || fields.front() != std::to_string(*id)) continue;
    const auto options = split(fields.back(), ',');
    return std::find(options.begin(), options.end(), "ro") != options.end();
  }
  return true;
}

Filesystem look_at(int fd) {
  struct statfs info{};
  if (::fstatfs(fd, &info) != 0) return {};
  const auto magic = static_cast<uint64_t>(info.f_type) & 0xFFFFFFFF;
  const Kind kind = kind_of(magic);
  Filesystem out;
  out.has_own_clock = kind != Kind::served && kind != Kind::unreliable;
  out.is_doubtful = kind == Kind::unreliable;
  out.is_frozen = kind == Kind::image;
  if (kind == Kind::no_change) return out;
  uint64_t id = 0;
  static_assert(sizeof info.f_fsid == sizeof id);
  std::memcpy(&id, &info.f_fsid, sizeof id);
  WireWriter writer;
  writer.text("filesystem").number(magic).number(id);
  // Another image at the same place may have the same of everything else, even of the device.
  const bool is_image =
      kind == Kind::image || ((info.f_flags & ST_RDONLY) != 0 && is_read_only_everywhere(fd));
  if (is_image || kind == Kind::stacked) {
    const auto mount = unique_mount_id(fd);
    if (!mount && is_image) return out;
    if (mount) writer.text(boot_id()).number(*mount);
  }
  const Digest digest = Digest::of(writer.str());
  std::memcpy(&out.identity, digest.bytes().data(), sizeof out.identity);
  return out;
}

}  // namespace

Filesystem Filesystem::of(int fd) {
  try {
    return look_at(fd);
  } catch (const Error&) {
    return {};
  }
}

int64_t stamp_clock_ns() {
  const UniqueFd probe(::memfd_create("clock", MFD_CLOEXEC));
  if (!probe) throw_errno("could not make a memory file");
  return as_nanoseconds(sys::fstat(probe.get()).st_ctim);
}

int64_t uptime_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return as_nanoseconds(time);
}

const std::string& boot_id() {
  static const std::string id =
      std::string(trim(sys::read_file("/proc/sys/kernel/random/boot_id").value_or("")));
  return id;
}

int64_t ServerClock::at_least(int64_t later_uptime_ns) const {
  constexpr int64_t kDrift = 1000;  // one part in so many, which NTP never exceeds
  const int64_t passed = std::max<int64_t>(0, later_uptime_ns - uptime_ns);
  return stamp_ns + passed - passed / kDrift;
}

}  // namespace lade
