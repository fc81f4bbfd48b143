#include "snapshotter/cache_mount.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/wire.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

constexpr const char* kDirectory = "/cache-mounts";

std::string name_of(const Digest& id) {
  return id.hex().substr(0, 32);
}

}  // namespace

Digest restored_mount(const Digest& id, const Digest& blob) {
  return Digest::of(WireWriter().text("lade restored mount 1").digest(id).digest(blob).str());
}

CacheMountDirectory::CacheMountDirectory(const std::string& state_root, const Digest& id,
                                         int number)
    : base_(state_root + kDirectory + "/" + name_of(id)) {
  if (number > 0) base_ += fmt::format("-{}", number);
}

bool CacheMountDirectory::exists() const {
  return sys::lstatat(AT_FDCWD, path()).has_value();
}

std::optional<UniqueFd> CacheMountDirectory::try_lock(bool shared) const {
  sys::make_dirs(base_.substr(0, base_.rfind('/')), 0700);
  UniqueFd fd = sys::open(base_ + ".lock", O_RDWR | O_CREAT, 0600);
  if (::flock(fd.get(), (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
  throw_errno("could not lock a cache mount");
}

void CacheMountDirectory::make(uint32_t uid, uint32_t gid, uint32_t mode) const {
  if (exists()) return;
  sys::make_dirs(base_, 0700);
  if (::mkdir(path().c_str(), 0700) != 0) {
    if (errno == EEXIST) return;
    throw_errno("could not make the cache mount " + quoted(path()));
  }
  if (::chown(path().c_str(), uid, gid) != 0 || ::chmod(path().c_str(), mode) != 0) {
    throw_errno("could not set up the cache mount " + quoted(path()));
  }
}

std::vector<CacheMountDirectory> CacheMountDirectory::all(const std::string& state_root,
                                                          const Digest& id) {
  std::vector<CacheMountDirectory> out;
  const auto dir = sys::try_openat(AT_FDCWD, state_root + kDirectory, O_RDONLY | O_DIRECTORY);
  if (!dir) return out;
  for (const auto& name : sys::list_dir(dir->get())) {
    const std::string first = name_of(id);
    if (!name.starts_with(first)) continue;
    int number = 0;
    const char* end = name.data() + name.size();
    if (const char* rest = name.data() + first.size(); rest != end) {
      const auto parsed = std::from_chars(rest + 1, end, number);
      if (*rest != '-' || parsed.ec != std::errc() || parsed.ptr != end) continue;
    }
    out.emplace_back(state_root, id, number);
  }
  return out;
}

void CacheMountDirectory::discard(StateDir& state) const {
  state.discard(path());
}

void CacheMountDirectory::hand_over(const CacheMountDirectory& to) const {
  if (!to.exists()) to.place(path());
}

void CacheMountDirectory::place(const std::string& tree) const {
  sys::make_dirs(base_, 0700);
  sys::renameat(AT_FDCWD, tree, AT_FDCWD, path());
}

}  // namespace lade
