// A client's directory, received into one that is kept.
#include <limits>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "daemon/session/go_stat.hpp"
#include "daemon/session/tree_receiver.hpp"

namespace lade {
namespace {

using tree::has_data;
using tree::is_directory;
using tree::refuse;
using tree::Stat;

constexpr size_t kMaxRemembered = 1u << 20;
constexpr size_t kMaxOpenFiles = 256;  // at once; senders have four
constexpr std::string_view kEntriesFormat = "lade synced directory 2";

mode_t permissions(uint32_t go) {
  mode_t mode = go & 0777;
  if (go & kGoSetuid) mode |= S_ISUID;
  if (go & kGoSetgid) mode |= S_ISGID;
  if (go & kGoSticky) mode |= S_ISVTX;
  return mode;
}

bool same(const Stat& a, const Stat& b) {
  if (a.path() != b.path() || a.mode() != b.mode() || a.linkname() != b.linkname()) return false;
  if (a.devmajor() != b.devmajor() || a.devminor() != b.devminor()) return false;
  if (a.xattrs_size() != b.xattrs_size()) return false;
  for (const auto& [name, value] : a.xattrs()) {
    const auto other = b.xattrs().find(name);
    if (other == b.xattrs().end() || other->second != value) return false;
  }
  return is_directory(a) || (a.size() == b.size() && a.modtime() == b.modtime());
}

timespec to_timespec(int64_t ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t seconds = ns / kSecond;
  int64_t rest = ns % kSecond;
  if (rest < 0) {
    --seconds;
    rest += kSecond;
  }
  return {.tv_sec = seconds, .tv_nsec = rest};
}

std::vector<Stat> read_entries(const std::string& path) {
  std::vector<Stat> out;
  const auto bytes = sys::read_file(path, 2u << 30);
  if (!bytes) return out;
  WireReader reader(*bytes);
  if (reader.text() != kEntriesFormat) throw Error("another format", ErrorKind::corrupt);
  const size_t count = reader.count();
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Stat stat;
    if (!stat.ParseFromString(std::string(reader.text()))) {
      throw Error("a bad entry", ErrorKind::corrupt);
    }
    out.push_back(std::move(stat));
  }
  return out;
}

/// Whether a file that was listed about `listed_ns` could have changed since without another time:
/// just before it was, or, where times are whole seconds, within a minute, which clients' clocks
/// may be off.
bool may_change_unseen(const Stat& stat, int64_t listed_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  if (!has_data(stat)) return false;
  const int64_t window = (stat.modtime() % kSecond == 0 ? 60 : 2) * kSecond;
  return stat.modtime() > listed_ns - window && stat.modtime() < listed_ns + window;
}

/// Those that may change unseen get a time that no file has, so that they are asked for again.
void write_entries(const std::string& path, const std::vector<Stat>& entries, int64_t listed_ns) {
  WireWriter writer;
  writer.text(kEntriesFormat);
  writer.number(entries.size());
  for (const Stat& stat : entries) {
    if (!may_change_unseen(stat, listed_ns)) {
      writer.text(stat.SerializeAsString());
      continue;
    }
    Stat unsure = stat;
    unsure.set_modtime(std::numeric_limits<int64_t>::min());
    writer.text(unsure.SerializeAsString());
  }
  sys::write_file_atomically(path, writer.str(), 0600);
}

class DirectoryReceiver : public tree::Receiver {
 public:
  DirectoryReceiver(PacketStream& stream, int root, std::vector<Stat> known,
                    const SyncProgress& progress)
      : Receiver(stream), root_(root), known_(std::move(known)), progress_(progress) {}

  uint64_t bytes() const { return bytes_; }
  const std::vector<Stat>& entries() const { return entries_; }

 private:
  struct File {
    size_t entry;
    UniqueFd fd;
    uint64_t size = 0;
  };

  void entry(const Stat& stat, uint32_t id) override {
    drop_known_before(stat.path());
    const bool was_here = next_ < known_.size() && known_[next_].path() == stat.path();
    const Stat* before = was_here ? &known_[next_++] : nullptr;
    entries_.push_back(stat);
    // A hard link's other name may have changed.
    if (before && same(*before, stat) && (stat.linkname().empty() || !has_data(stat))) return;
    if (before && !(is_directory(*before) && is_directory(stat))) {
      drop(before->path(), is_directory(*before));
    }
    make(stat, before != nullptr, id);
  }

  void make(const Stat& stat, bool was_here, uint32_t id) {
    const uint32_t type = stat.mode() & kGoType;
    const UniqueFd parent = open_directory(parent_of(stat.path()));
    const std::string name = base_name(stat.path());
    touched_.emplace(parent_of(stat.path()));
    if (type == kGoDir) {
      if (!was_here || !sys::lstatat(parent.get(), name)) sys::mkdirat(parent.get(), name, 0700);
      touched_.insert(stat.path());
    } else if (type == kGoSymlink) {
      if (::symlinkat(stat.linkname().c_str(), parent.get(), name.c_str()) != 0) {
        throw_errno("could not make the symlink " + lade::quoted(stat.path()));
      }
      set_times(parent.get(), name, stat);
    } else if (type == kGoNamedPipe) {
      if (::mknodat(parent.get(), name.c_str(), S_IFIFO | permissions(stat.mode()), 0) != 0) {
        throw_errno("could not make the pipe " + lade::quoted(stat.path()));
      }
      set_times(parent.get(), name, stat);
    } else if (type == kGoSocket) {
      entries_.pop_back();  // has no meaning in a context
    } else if (type != 0) {
      refuse(stat, "is a device");
    } else if (!stat.linkname().empty()) {
      links_.push_back(entries_.size() - 1);
    } else {
      files_[id] = File{entries_.size() - 1, {}, 0};
      request(id);
    }
  }

  void data(uint32_t id, const std::string& bytes) override {
    const auto found = files_.find(id);
    if (found == files_.end()) {
      throw Error("the client sent contents that nobody asked for", ErrorKind::corrupt);
    }
    File& file = found->second;
    const Stat& stat = entries_[file.entry];
    if (!file.fd) {
      if (++open_ > kMaxOpenFiles) throw Error("the client sends too many files at once");
      const UniqueFd parent = open_directory(parent_of(stat.path()));
      file.fd = sys::openat(parent.get(), base_name(stat.path()),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    }
    if (!bytes.empty()) {
      sys::write_all(file.fd.get(), bytes);
      file.size += bytes.size();
      bytes_ += bytes.size();
      if (progress_) progress_(bytes_);
      return;
    }
    // What changed while it was sent is what it is now; the next time its stat differs.
    entries_[file.entry].set_size(static_cast<int64_t>(file.size));
    finish_file(file.fd.get(), stat);
    files_.erase(found);
    --open_;
  }

  static void finish_file(int fd, const Stat& stat) {
    for (const auto& [name, value] : stat.xattrs()) {
      if (name.starts_with("trusted.")) continue;
      // As BuildKit: what this filesystem does not take is left out.
      ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0);
    }
    if (::fchmod(fd, permissions(stat.mode())) != 0) {
      throw_errno("could not set the mode of " + lade::quoted(stat.path()));
    }
    const timespec time = to_timespec(stat.modtime());
    const timespec times[2] = {time, time};
    if (::futimens(fd, times) != 0) throw_errno("could not date " + lade::quoted(stat.path()));
  }

  static void set_times(int parent, const std::string& name, const Stat& stat) {
    const timespec time = to_timespec(stat.modtime());
    const timespec times[2] = {time, time};
    if (::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      throw_errno("could not date " + lade::quoted(stat.path()));
    }
  }

  bool waiting() const override { return !files_.empty(); }

  void all_listed() override { drop_known_before({}); }

  void finish() override {
    for (const size_t i : links_) make_link(entries_[i]);
    // Children first: making them changed the times of their parents.
    for (auto path = touched_.rbegin(); path != touched_.rend(); ++path) {
      const auto stat = find(*path);
      if (stat == entries_.end() || !is_directory(*stat)) continue;
      const UniqueFd dir = open_directory(stat->path());
      finish_file(dir.get(), *stat);
    }
  }

  std::vector<Stat>::const_iterator find(const std::string& path) const {
    const auto at = std::lower_bound(
        entries_.begin(), entries_.end(), path,
        [](const Stat& a, const std::string& b) { return compare_paths(a.path(), b) < 0; });
    return at != entries_.end() && at->path() == path ? at : entries_.end();
  }

  void make_link(const Stat& stat) {
    const std::string target = clean_path("/" + stat.linkname()).substr(1);
    const auto known = find(target);
    if (known == entries_.end() || !has_data(*known)) {
      refuse(stat, "is a hard link to what is not a file here");
    }
    const UniqueFd from = open_directory(parent_of(target));
    const UniqueFd to = open_directory(parent_of(stat.path()));
    if (::linkat(from.get(), base_name(target).c_str(), to.get(), base_name(stat.path()).c_str(),
                 0) != 0) {
      throw_errno("could not link " + lade::quoted(stat.path()));
    }
  }

  /// Removes what the other side has no more: known entries before `path`, all if it is empty.
  void drop_known_before(const std::string& path) {
    while (next_ < known_.size() &&
           (path.empty() || compare_paths(known_[next_].path(), path) < 0)) {
      const Stat& gone = known_[next_++];
      drop(gone.path(), is_directory(gone));
    }
  }

  void drop(const std::string& path, bool directory) {
    touched_.emplace(parent_of(path));
    const UniqueFd parent = open_directory(parent_of(path));
    if (directory) {
      sys::remove_tree(parent.get(), base_name(path));
      while (next_ < known_.size() && known_[next_].path().starts_with(path + "/")) ++next_;
    } else if (sys::lstatat(parent.get(), base_name(path))) {
      sys::unlinkat(parent.get(), base_name(path));
    }
  }

  /// Nothing but directories on the way, which were all sent as such.
  UniqueFd open_directory(std::string_view path) const {
    UniqueFd at = sys::openat(root_, ".", O_RDONLY | O_DIRECTORY);
    if (path.empty()) return at;
    for (const auto& name : split(path, '/')) {
      at = sys::openat(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    }
    return at;
  }

  int root_;
  std::vector<Stat> known_;
  size_t next_ = 0;  // of known_
  SyncProgress progress_;
  std::vector<Stat> entries_;
  std::vector<size_t> links_;
  std::set<std::string> touched_;  // directories whose times are no longer what they were
  std::map<uint32_t, File> files_;
  size_t open_ = 0;
  uint64_t bytes_ = 0;
};

std::string slot_path(const std::string& root, const std::string& key, int slot) {
  return fmt::format("{}/{}.{}", root, Digest::of(key).hex().substr(0, 32), slot);
}

}  // namespace

SyncedDirectory SyncedDirectory::take(const std::string& root, const std::string& key) {
  sys::make_dirs(root, 0700);
  for (int slot = 0;; ++slot) {
    const std::string directory = slot_path(root, key, slot);
    // Beside it, where garbage collection looks for it.
    UniqueFd lock = sys::open(directory + ".lock", O_RDWR | O_CREAT, 0600);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    ::futimens(lock.get(), nullptr);  // when it was last used
    sys::make_dirs(directory, 0700);
    return {directory, std::move(lock)};
  }
}

void SyncedDirectory::forget() {
  const UniqueFd dir = sys::open(directory_, O_RDONLY | O_DIRECTORY);
  sys::remove_tree(dir.get(), "entries");
}

void SyncedDirectory::remember(const std::string& text) {
  const std::string path = directory_ + "/remembered";
  if (sys::read_file(path, kMaxRemembered).value_or("") == text) return;
  if (text.size() < kMaxRemembered) sys::write_file_atomically(path, text, 0600);
}

std::string SyncedDirectory::remembered(const std::string& root, const std::string& key) {
  return sys::read_file(slot_path(root, key, 0) + "/remembered", kMaxRemembered).value_or("");
}

uint64_t SyncedDirectory::receive(PacketStream& stream, const SyncProgress& progress) {
  const std::string list = directory_ + "/entries";
  std::vector<Stat> known;
  try {
    known = read_entries(list);
  } catch (const Error&) {
    known.clear();
  }
  const UniqueFd dir = sys::open(directory_, O_RDONLY | O_DIRECTORY);
  if (known.empty()) sys::remove_tree(dir.get(), "tree");
  // Until it is whole again nothing is known of it.
  if (!known.empty()) sys::unlinkat(dir.get(), "entries");
  sys::make_dirs(path(), 0755);
  const UniqueFd root = sys::open(path(), O_RDONLY | O_DIRECTORY);
  const int64_t listed = now_ns();
  DirectoryReceiver receiver(stream, root.get(), std::move(known), progress);
  receiver.run();
  write_entries(list, receiver.entries(), listed);
  return receiver.bytes();
}

}  // namespace lade
