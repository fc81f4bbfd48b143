#include "solver/ops/entry_metadata.hpp"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/user_namespace.hpp"

namespace lade {

void set_metadata(int fd, const Entry& entry, const std::string& path) {
  if (::fchown(fd, entry.uid, entry.gid) != 0) throw_owner_error(path);
  // After chown, which clears set-id bits.
  if (::fchmod(fd, entry.mode) != 0) throw_errno("could not set the mode of " + quoted(path));
  for (const auto& xattr : entry.xattrs) {
    if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0 &&
        errno != ENOTSUP && errno != EPERM) {
      throw_errno(fmt::format("could not set {} of {}", xattr.name, quoted(path)));
    }
  }
}

void set_times(int directory, const std::string& name, const Entry& entry) {
  const timespec time = {entry.mtime_sec, entry.mtime_nsec};
  const timespec times[2] = {time, time};
  if (::utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    throw_errno("could not set the times of " + quoted(name));
  }
}

}  // namespace lade
