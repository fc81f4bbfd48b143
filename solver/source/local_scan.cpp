#include "solver/source/local_scan.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr int kAttempts = 10;

EntryType type_of(mode_t mode) {
  if (S_ISDIR(mode)) return EntryType::directory;
  if (S_ISLNK(mode)) return EntryType::symlink;
  if (S_ISCHR(mode)) return EntryType::char_device;
  if (S_ISBLK(mode)) return EntryType::block_device;
  if (S_ISFIFO(mode)) return EntryType::fifo;
  return EntryType::regular;  // a socket is an empty file to a copy, as in BuildKit
}

std::string read_link(int dirfd, const std::string& name) {
  std::string target(256, '\0');
  for (;;) {
    const ssize_t size = ::readlinkat(dirfd, name.c_str(), target.data(), target.size());
    if (size < 0) throw_errno("could not read the link " + quoted(name));
    if (static_cast<size_t>(size) < target.size()) {
      target.resize(static_cast<size_t>(size));
      return target;
    }
    target.resize(target.size() * 4);
  }
}

std::vector<sys::Xattr> read_xattrs(int dir, const std::string& name) {
  std::vector<sys::Xattr> out;
  for (auto& xattr : sys::list_xattrs_of(fmt::format("/proc/self/fd/{}/{}", dir, name))) {
    // Labels of the host's security modules and overlay's own marks are not the file's.
    const bool kept = xattr.name == "security.capability" || xattr.name.starts_with("user.");
    if (kept && !xattr.name.starts_with("user.overlay.")) out.push_back(std::move(xattr));
  }
  return out;
}

/// Of what was there a moment ago: that it has gone, or become something else.
bool has_gone(int error) {
  return error == ENOENT || error == ENOTDIR || error == EINVAL || error == ELOOP ||
         error == ESTALE;
}

}  // namespace

LocalScanner::LocalScanner(const LocalSourceOptions& options, StatCache& cache)
    : options_(options),
      cache_(cache),
      ignore_(options.ignore_patterns),
      // A server's clock may be ahead of ours, but what is far ahead was set wrong at some time.
      latest_(now_ns() + 3600 * int64_t{1'000'000'000}) {}

void LocalScanner::run(int root) {
  const struct stat info = sys::fstat(root);
  last_device_ = info.st_dev;
  by_device_[info.st_dev] = 0;
  filesystems.push_back({Filesystem::of(root)});
  add(root, ".", "", info);
  place_.emplace(sys::openat(root, ".", O_RDONLY | O_DIRECTORY), DirectoryChain::Mounts::cross);
  descend("", nullptr);
}

/// Lists place_, which is `prefix`.
void LocalScanner::descend(const std::string& prefix, const PatternMatcher::Match* parent) {
  std::string path = prefix.empty() ? "" : prefix + "/";
  const size_t parent_size = path.size();
  for (const auto& name : sys::list_dir(place_->fd())) {
    path.resize(parent_size);
    path += name;
    if (path.size() >= PATH_MAX) {
      throw Error(fmt::format("the build context has a path of more than {} bytes below {}",
                              PATH_MAX - 1, quoted(path.substr(0, path.find('/')))));
    }
    visit(name, path, parent);
  }
}

void LocalScanner::visit(const std::string& name, const std::string& path,
                         const PatternMatcher::Match* parent) {
  PatternMatcher::Match match;
  if (!ignore_.empty()) match = ignore_.match(path, parent);
  const int dir = place_->fd();
  // Once more where it was replaced since it was looked at.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    struct stat info{};
    if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (has_gone(errno)) return;
      throw_errno("could not stat " + quoted(options_.directory + "/" + path));
    }
    const bool directory = S_ISDIR(info.st_mode);
    if (match.matched && !(directory && ignore_.exception_may_match_below(path))) return;
    const size_t position = found.size();
    if (!add(dir, name, path, info)) continue;
    if (!directory) return;
    try {
      with_context("could not read the build context", [&] { place_->enter(name); });
    } catch (const Error& error) {
      if (!has_gone(error.errno_code())) throw;
      found.pop_back();
      continue;
    }
    descend(path, &match);
    try {
      place_->leave();
    } catch (const Error&) {
      throw ChangedContext(options_.name, path);
    }
    // An excluded directory is there only for what "!" took back below it.
    if (match.matched && found.size() == position + 1) found.pop_back();
    return;
  }
}

/// False if it was replaced meanwhile.
bool LocalScanner::add(int dir, const std::string& name, const std::string& path,
                       const struct stat& info) {
  Scanned& out = found.emplace_back();
  try {
    take(out, dir, name, path, info);
    return true;
  } catch (const Error& error) {
    if (!has_gone(error.errno_code())) throw;
    found.pop_back();
    return false;
  }
}

void LocalScanner::take(Scanned& out, int dir, const std::string& name, const std::string& path,
                        const struct stat& info) {
  out.mode = info.st_mode;
  out.device = info.st_rdev;
  if (S_ISREG(info.st_mode) && info.st_nlink > 1) out.hardlink_group = group_of(info);
  const FileStamp stamp = FileStamp::of(info);
  out.filesystem = filesystem_of(dir, name, info.st_dev);
  ScannedFilesystem& filesystem = filesystems[out.filesystem];
  filesystem.has_change_times |= stamp.ctime_ns != stamp.mtime_ns;
  if (stamp.ctime_ns <= latest_) {
    filesystem.newest_ns = std::max(filesystem.newest_ns, stamp.ctime_ns);
  }
  out.file.filesystem = filesystem.traits.identity;
  if (const KnownFile* known = cache_.find(path, stamp, out.file.filesystem)) {
    out.file = *known;
    out.is_known = true;
    return;
  }
  out.file.path = strings.emplace_back(path);
  out.file.stamp = stamp;
  if (S_ISLNK(info.st_mode)) {
    out.file.link_target = strings.emplace_back(read_link(dir, name));
  } else if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
    out.file.xattrs = read_xattrs(dir, name);
  }
}

uint32_t LocalScanner::filesystem_of(int dir, const std::string& name, dev_t device) {
  if (device == last_device_) return by_device_[device];
  last_device_ = device;
  const auto next = static_cast<uint32_t>(filesystems.size());
  const auto [known, is_new] = by_device_.emplace(device, next);
  if (is_new) {
    const auto fd = sys::try_openat(dir, name, O_PATH | O_NOFOLLOW);
    filesystems.push_back({fd ? Filesystem::of(fd->get()) : Filesystem()});
  }
  return known->second;
}

uint32_t LocalScanner::group_of(const struct stat& info) {
  const auto next = static_cast<uint32_t>(groups_.size() + 1);
  return groups_.emplace(std::pair(info.st_dev, info.st_ino), next).first->second;
}

Entry entry_of(const Scanned& scanned) {
  constexpr int64_t kSecond = 1'000'000'000;
  const FileStamp& stamp = scanned.file.stamp;
  Entry entry;
  entry.path = scanned.file.path;
  entry.type = type_of(scanned.mode);
  entry.mode = scanned.mode & 07777;
  entry.mtime_sec = stamp.mtime_ns / kSecond - (stamp.mtime_ns % kSecond < 0 ? 1 : 0);
  entry.mtime_nsec = static_cast<uint32_t>(stamp.mtime_ns - entry.mtime_sec * kSecond);
  entry.hardlink_group = scanned.hardlink_group;
  entry.link_target = scanned.file.link_target;
  entry.xattrs = scanned.file.xattrs;
  if (entry.type == EntryType::regular) {
    entry.size = stamp.size;
  } else if (entry.type == EntryType::char_device || entry.type == EntryType::block_device) {
    entry.dev_major = major(scanned.device);
    entry.dev_minor = minor(scanned.device);
  }
  return entry;
}

}  // namespace lade
