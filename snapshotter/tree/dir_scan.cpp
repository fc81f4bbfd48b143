#include "snapshotter/tree/dir_scan.hpp"

#include <cerrno>
#include <climits>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/tree/device_node.hpp"
#include "snapshotter/tree/open_beneath.hpp"
#include "snapshotter/tree/overlay_xattrs.hpp"

namespace lade {
namespace {

std::string read_link(int dir, const char* name) {
  std::string target(256, '\0');
  for (;;) {
    const ssize_t size = ::readlinkat(dir, name, target.data(), target.size());
    if (size < 0) throw_errno("could not read symlink " + quoted(name));
    if (static_cast<size_t>(size) < target.size()) {
      target.resize(static_cast<size_t>(size));
      return target;
    }
    target.resize(target.size() * 2);
  }
}

/// One task per directory: each lists, stats and reads xattrs, and starts the directories in it.
class Scan {
 public:
  Scan(int root, bool userxattr)
      : root_(root),
        userxattr_(userxattr),
        opaque_name_(overlay_xattr(userxattr, "opaque")),
        whiteout_name_(overlay_xattr(userxattr, "whiteout")) {}

  std::vector<Entry> run() {
    const struct stat info = sys::fstat(root_);
    Entry top = describe(info);
    take_xattrs(top, sys::list_xattrs(root_));
    found_.push_back(std::move(top));
    // Isolated: while it waits, this thread helps with the scan and nothing else.
    tbb::this_task_arena::isolate([this] { tasks_.run_and_wait([this] { scan(""); }); });
    return std::move(found_);
  }

  Entry read_one(int dirfd, const char* name) {
    Entry entry = read(dirfd, "", name);
    entry.hardlink_group = 0;
    return entry;
  }

 private:
  struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };

  void scan(const std::string& path) {
    if (path.size() >= PATH_MAX) {
      constexpr size_t kShown = 60;
      throw Error(fmt::format("{}... is nested too deeply: a path in a layer has at most {} bytes",
                              quoted(path.substr(0, kShown)), PATH_MAX - 1));
    }
    UniqueFd fd = open_beneath(root_, path, O_RDONLY | O_DIRECTORY);
    const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd.get()));
    if (!dir) throw_errno("could not list " + quoted(path));
    const int dirfd = fd.release();  // closedir's now
    std::vector<Entry> entries;
    for (;;) {
      errno = 0;
      const dirent* item = ::readdir(dir.get());
      if (!item && errno == EINTR) continue;
      if (!item) break;
      const char* name = item->d_name;
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      entries.push_back(read(dirfd, path, name));
    }
    if (errno != 0) throw_errno("could not list " + quoted(path));
    for (const auto& entry : entries) {
      if (entry.type == EntryType::directory)
        tasks_.run([this, below = entry.path] { scan(below); });
    }
    const std::lock_guard lock(mutex_);
    found_.insert(found_.end(), std::make_move_iterator(entries.begin()),
                  std::make_move_iterator(entries.end()));
  }

  Entry read(int dirfd, const std::string& path, const char* name) {
    struct stat info{};
    if (::fstatat(dirfd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      throw_errno(fmt::format("could not stat {}", quoted(path + "/" + name)));
    }
    Entry entry = describe(info);
    entry.path = path.empty() ? name : path + "/" + name;
    if (entry.type == EntryType::whiteout) return entry;
    if (entry.type == EntryType::symlink) entry.link_target = read_link(dirfd, name);
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1) entry.hardlink_group = group(info);
    take_xattrs(entry, sys::list_xattrs_of(fmt::format("/proc/self/fd/{}/{}", dirfd, name)));
    return entry;
  }

  static Entry describe(const struct stat& info) {
    Entry entry;
    entry.mode = info.st_mode & 07777;
    entry.uid = info.st_uid;
    entry.gid = info.st_gid;
    entry.mtime_sec = info.st_mtim.tv_sec;
    entry.mtime_nsec = static_cast<uint32_t>(info.st_mtim.tv_nsec);
    switch (info.st_mode & S_IFMT) {
      case S_IFDIR:
        entry.type = EntryType::directory;
        break;
      case S_IFLNK:
        entry.type = EntryType::symlink;
        entry.mode = 0777;
        break;
      case S_IFIFO:
        entry.type = EntryType::fifo;
        break;
      case S_IFSOCK:
        entry.type = EntryType::socket;
        break;
      case S_IFCHR:
      case S_IFBLK:
        entry.type = S_ISCHR(info.st_mode) ? EntryType::char_device : EntryType::block_device;
        entry.dev_major = major(info.st_rdev);
        entry.dev_minor = minor(info.st_rdev);
        if (S_ISCHR(info.st_mode) && info.st_rdev == 0) entry.type = EntryType::whiteout;
        break;
      default:
        entry.type = EntryType::regular;
        entry.size = static_cast<uint64_t>(info.st_size);
    }
    return entry;
  }

  void take_xattrs(Entry& entry, std::vector<sys::Xattr> xattrs) const {
    for (auto& xattr : xattrs) {
      if (is_overlay_xattr(xattr.name)) {
        // "x" says only that the directory may hold whiteouts in their xattr form (Linux 6.8).
        if (xattr.name == opaque_name_ && xattr.value == "y") entry.opaque = true;
        if (xattr.name == whiteout_name_ && entry.type == EntryType::regular && entry.size == 0) {
          entry.type = EntryType::whiteout;
        }
        if (userxattr_ && xattr.name == kDeviceMark) read_device_mark(xattr.value, entry);
      } else if (!is_host_xattr(xattr.name)) {
        entry.xattrs.push_back(std::move(xattr));
      }
    }
  }

  uint32_t group(const struct stat& info) {
    const std::lock_guard lock(mutex_);
    const auto next = static_cast<uint32_t>(groups_.size() + 1);
    return groups_.try_emplace({info.st_dev, info.st_ino}, next).first->second;
  }

  const int root_;
  const bool userxattr_;
  const std::string opaque_name_;
  const std::string whiteout_name_;
  std::mutex mutex_;
  std::vector<Entry> found_;
  std::map<std::pair<dev_t, ino_t>, uint32_t> groups_;
  TaskGroup tasks_;
};

bool same_metadata(const Entry& a, const Entry& b) {
  if (a.type != b.type || a.mode != b.mode || a.uid != b.uid || a.gid != b.gid) return false;
  if (a.xattrs != b.xattrs) return false;
  if (a.type == EntryType::directory) return true;  // its mtime changes with what is in it
  return a.size == b.size && a.mtime_sec == b.mtime_sec && a.mtime_nsec == b.mtime_nsec &&
         a.link_target == b.link_target && a.dev_major == b.dev_major && a.dev_minor == b.dev_minor;
}

bool same_bytes(int a, int b, uint64_t size) {
  std::vector<char> left(std::min<uint64_t>(size, 128 * 1024));
  std::vector<char> right(left.size());
  for (uint64_t at = 0; at < size;) {
    const size_t count = std::min<uint64_t>(left.size(), size - at);
    sys::pread_exact(a, left.data(), count, at);
    sys::pread_exact(b, right.data(), count, at);
    if (std::memcmp(left.data(), right.data(), count) != 0) return false;
    at += count;
  }
  return true;
}

/// Compares an upperdir's entries with what is below them.
class UpperFilter {
 public:
  UpperFilter(int dir, bool userxattr, const MergedIndex& lower, const OpenFound& open_lower)
      : dir_(dir),
        opaque_name_(overlay_xattr(userxattr, "opaque")),
        lower_(lower),
        open_lower_(open_lower),
        entries_(scan_tree(dir, userxattr)) {}

  LayerIndex run() {
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return compare_paths(a.path, b.path) < 0; });
    look_below();
    // Backwards, so that a directory comes after what is in it: everything kept in it then directly
    // follows.
    std::vector<Entry> kept;
    for (size_t i = entries_.size(); i-- > 0;) {
      Entry& entry = entries_[i];
      const bool has_change = !kept.empty() && kept.back().path.size() > entry.path.size() &&
                              (entry.path.empty() || (kept.back().path.starts_with(entry.path) &&
                                                      kept.back().path[entry.path.size()] == '/'));
      if (is_change(entry, below_[i], has_change)) {
        kept.push_back(std::move(entry));
      } else if (!entry.path.empty()) {
        remove(entry);
      }
    }
    for (const auto& entry : kept) {
      if (touched_.contains(entry.path)) restore_time(entry);
    }
    return LayerIndex(
        {std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend())});
  }

 private:
  /// Fills below_ with what each entry covers: nothing, in directories that lower's do not show
  /// through.
  void look_below() {
    below_.resize(entries_.size());
    std::vector<std::pair<const std::string*, bool>> open;  // directories around, and if merged
    for (size_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_[i];
      if (entry.path.empty()) {
        below_[i] = lower_.find("");
        entry.opaque = false;
        continue;
      }
      const std::string_view parent = parent_of(entry.path);
      while (!open.empty() && *open.back().first != parent) open.pop_back();
      if (open.empty() || open.back().second) below_[i] = lower_.find(entry.path);
      if (entry.type != EntryType::directory) continue;
      const bool over_directory = below_[i] && below_[i]->entry->type == EntryType::directory;
      if (entry.opaque && !over_directory) clear_opaque(entry);
      open.emplace_back(&entry.path, over_directory && !entry.opaque);
    }
  }

  bool is_change(const Entry& entry, const std::optional<Found>& below, bool has_change) const {
    if (entry.path.empty()) return !same_metadata(entry, *below->entry);
    if (!below) return entry.type != EntryType::whiteout;
    // Copying up never makes a hard link: this one was made by the step.
    if (entry.opaque || has_change || entry.hardlink_group != 0) return true;
    if (!same_metadata(entry, *below->entry)) return true;
    if (entry.type != EntryType::regular || entry.size == 0) return false;
    const UniqueFd ours = open_beneath(dir_, entry.path, O_RDONLY);
    const UniqueFd theirs = open_lower_(*below);
    return !same_bytes(ours.get(), theirs.get(), entry.size);
  }

  void remove(const Entry& entry) {
    const std::string parent(parent_of(entry.path));
    const UniqueFd fd = open_beneath(dir_, parent, O_PATH | O_DIRECTORY);
    const std::string name = base_name(entry.path);
    sys::unlinkat(fd.get(), name, entry.type == EntryType::directory ? AT_REMOVEDIR : 0);
    touched_.insert(parent);
  }

  void clear_opaque(Entry& entry) {
    entry.opaque = false;
    const UniqueFd fd = open_beneath(dir_, entry.path, O_RDONLY | O_DIRECTORY);
    if (::fremovexattr(fd.get(), opaque_name_.c_str()) != 0) {
      throw_errno("could not clear overlay's mark of " + quoted(entry.path));
    }
  }

  void restore_time(const Entry& entry) {
    const UniqueFd fd = open_beneath(dir_, entry.path, O_RDONLY | O_DIRECTORY);
    const timespec times[2] = {{0, UTIME_OMIT},
                               {entry.mtime_sec, static_cast<long>(entry.mtime_nsec)}};
    if (::futimens(fd.get(), times) != 0) {
      throw_errno("could not set the time of " + quoted(entry.path));
    }
  }

  const int dir_;
  const std::string opaque_name_;
  const MergedIndex& lower_;
  const OpenFound& open_lower_;
  std::vector<Entry> entries_;
  std::vector<std::optional<Found>> below_;
  std::set<std::string> touched_;  // directories that something was removed from
};

}  // namespace

std::vector<Entry> scan_tree(int dir, bool userxattr) {
  return Scan(dir, userxattr).run();
}

std::optional<Entry> scan_entry(int dir, const std::string& name, bool userxattr) {
  // Twice, as it may go in between.
  for (const bool again : {true, false}) {
    if (!sys::lstatat(dir, name)) return std::nullopt;
    try {
      return Scan(dir, userxattr).read_one(dir, name.c_str());
    } catch (const Error&) {
      if (!again) throw;
    }
  }
  return std::nullopt;
}

LayerIndex index_upper(int dir, bool userxattr, const MergedIndex& lower,
                       const OpenFound& open_lower) {
  return UpperFilter(dir, userxattr, lower, open_lower).run();
}

}  // namespace lade
