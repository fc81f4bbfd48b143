#include "daemon/tree_sync.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <optional>
#include <set>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "daemon/go_stat.hpp"
#include "daemon/proto/fsutil.pb.h"

namespace lade {
namespace {

using fsutil::types::Packet;
using fsutil::types::Stat;

constexpr size_t kMaxEntries = 4'000'000;
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxXattrs = 64u << 10;  // as the kernel's XATTR_SIZE_MAX
constexpr size_t kMaxOpenFiles = 256;     // at once; senders have four
constexpr size_t kPieceSize = 32u << 10;
constexpr int kMaxLinks = 40;

mode_t permissions(uint32_t go) {
  mode_t mode = go & 0777;
  if (go & kGoSetuid) mode |= S_ISUID;
  if (go & kGoSetgid) mode |= S_ISGID;
  if (go & kGoSticky) mode |= S_ISVTX;
  return mode;
}

bool is_directory(const Stat& stat) {
  return (stat.mode() & kGoType) == kGoDir;
}
/// Whose contents can be asked for: what both sides must agree on.
bool has_data(const Stat& stat) {
  return (stat.mode() & kGoType) == 0;
}

[[noreturn]] void refuse(const Stat& stat, std::string_view why) {
  throw Error(fmt::format("the client sent {}, which {}", lade::quoted(stat.path()), why),
              ErrorKind::corrupt);
}

void check_stat(const Stat& stat) {
  const std::string& path = stat.path();
  if (path.empty() || path.size() > kMaxPath) refuse(stat, "is no path");
  if (path.starts_with('/') || path.find('\0') != std::string::npos) refuse(stat, "is no path");
  for (const auto& part : split(path, '/')) {
    if (part.empty() || part == "." || part == ".." || part.size() > 255) {
      refuse(stat, "is no clean relative path");
    }
  }
  if (stat.size() < 0) refuse(stat, "has a negative size");
  if (stat.linkname().size() > kMaxPath || stat.linkname().find('\0') != std::string::npos) {
    refuse(stat, "links to what is no path");
  }
  size_t xattrs = 0;
  for (const auto& [name, value] : stat.xattrs()) xattrs += name.size() + value.size();
  if (xattrs > kMaxXattrs) refuse(stat, "has too many extended attributes");
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

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// Sends requests from a thread of its own: a sender that is busy sending may not read for long.
class Requests {
 public:
  explicit Requests(PacketStream& stream) : stream_(stream), thread_([this] { run(); }) {}
  ~Requests() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  void send(Packet packet) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(packet));
    }
    changed_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const Packet packet = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      // A stream that ended shows where it is read.
      const bool sent = stream_.write(packet);
      lock.lock();
      if (!sent) queue_.clear();
    }
  }

  PacketStream& stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Packet> queue_;
  bool stop_ = false;
  std::thread thread_;
};

/// What every receiver does: order, numbers, errors.
class Receiver {
 public:
  explicit Receiver(PacketStream& stream) : stream_(stream), requests_(stream) {}
  virtual ~Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  void run() {
    try {
      receive();
      finish();
      send(Packet::PACKET_FIN);
      drain();
    } catch (const Error& error) {
      Packet packet;
      packet.set_type(Packet::PACKET_ERR);
      packet.set_data(error.message());
      requests_.send(std::move(packet));
      throw;
    }
  }

 protected:
  virtual void entry(const Stat& stat, uint32_t id) = 0;
  virtual void data(uint32_t id, const std::string& bytes) = 0;
  virtual bool waiting() const = 0;
  virtual void all_listed() {}
  virtual void finish() {}

  void request(uint32_t id) {
    Packet packet;
    packet.set_type(Packet::PACKET_REQ);
    packet.set_id(id);
    requests_.send(std::move(packet));
  }

 private:
  void send(Packet::PacketType type) {
    Packet packet;
    packet.set_type(type);
    requests_.send(std::move(packet));
  }

  void receive() {
    Packet packet;
    while (!listed_ || waiting()) {
      if (!stream_.read(packet)) {
        throw Error("the client ended the transfer of a directory", ErrorKind::unavailable);
      }
      switch (packet.type()) {
        case Packet::PACKET_ERR:
          throw Error("error from sender: " + packet.data());
        case Packet::PACKET_STAT:
          take_stat(packet);
          break;
        case Packet::PACKET_DATA:
          data(packet.id(), packet.data());
          break;
        default:
          throw Error("the client sent a packet that has no place here", ErrorKind::corrupt);
      }
    }
  }

  void take_stat(const Packet& packet) {
    if (listed_) throw Error("the client sent an entry after the last", ErrorKind::corrupt);
    if (!packet.has_stat()) {
      listed_ = true;
      all_listed();
      return;
    }
    const Stat& stat = packet.stat();
    check_stat(stat);
    if (!last_.empty() && compare_paths(last_, stat.path()) >= 0) refuse(stat, "is out of order");
    last_ = stat.path();
    const std::string parent = parent_of(last_);
    while (!parents_.empty() && parents_.back() != parent) parents_.pop_back();
    if (!parent.empty() && parents_.empty()) refuse(stat, "is below no directory");
    if (is_directory(stat)) parents_.push_back(last_);
    if (++count_ > kMaxEntries) throw Error("the client sends too many files");
    entry(stat, static_cast<uint32_t>(count_ - 1));
  }

  /// Until the sender has ended its side.
  void drain() {
    Packet packet;
    while (stream_.read(packet)) {
      if (packet.type() == Packet::PACKET_ERR) throw Error("error from sender: " + packet.data());
    }
  }

  PacketStream& stream_;
  Requests requests_;
  bool listed_ = false;
  std::string last_;
  std::vector<std::string> parents_;  // directories that the last entry lies in
  size_t count_ = 0;
};

// -- into a directory

constexpr std::string_view kEntriesFormat = "lade synced directory 1";

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

void write_entries(const std::string& path, const std::vector<Stat>& entries) {
  WireWriter writer;
  writer.text(kEntriesFormat);
  writer.number(entries.size());
  for (const Stat& stat : entries) writer.text(stat.SerializeAsString());
  sys::write_file_atomically(path, writer.str(), 0600);
}

class DirectoryReceiver : public Receiver {
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
    touched_.insert(parent_of(stat.path()));
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
      refuse(stat, "is a hard link to what is no file here");
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
    touched_.insert(parent_of(path));
    const UniqueFd parent = open_directory(parent_of(path));
    if (directory) {
      sys::remove_tree(parent.get(), base_name(path));
      while (next_ < known_.size() && known_[next_].path().starts_with(path + "/")) ++next_;
    } else if (sys::lstatat(parent.get(), base_name(path))) {
      sys::unlinkat(parent.get(), base_name(path));
    }
  }

  /// Nothing but directories on the way, which were all sent as such.
  UniqueFd open_directory(const std::string& path) const {
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

// -- into memory

class MemoryReceiver : public Receiver {
 public:
  MemoryReceiver(PacketStream& stream, const std::vector<std::string>& paths, uint64_t limit)
      : Receiver(stream), paths_(paths), limit_(limit) {}

  std::map<std::string, std::string> take() {
    std::map<std::string, std::string> out;
    for (const auto& [path, id] : wanted_) out[path] = contents_[id];
    return out;
  }

 private:
  void entry(const Stat& stat, uint32_t id) override {
    if (has_data(stat)) {
      files_[stat.path()] = id;
    } else if ((stat.mode() & kGoType) == kGoSymlink) {
      links_[stat.path()] = stat.linkname();
    }
  }

  /// Only now is it known where links lead.
  void all_listed() override {
    for (const auto& path : paths_) {
      const auto id = resolve(path);
      if (!id) continue;
      wanted_[path] = *id;
      if (waiting_.insert(*id).second) request(*id);
    }
  }

  std::optional<uint32_t> resolve(const std::string& path) const {
    std::string at = clean_path("/" + path).substr(1);
    for (int links = 0; links < kMaxLinks; ++links) {
      if (const auto file = files_.find(at); file != files_.end()) return file->second;
      // The longest part of the path that is a symlink.
      std::string head = at;
      auto link = links_.find(head);
      while (link == links_.end() && !head.empty()) {
        head = parent_of(head);
        link = links_.find(head);
      }
      if (link == links_.end()) return std::nullopt;
      const std::string rest = at.substr(head.size());
      at = clean_path(join_path("/" + parent_of(head), link->second) + rest).substr(1);
    }
    return std::nullopt;
  }

  void data(uint32_t id, const std::string& bytes) override {
    if (!waiting_.contains(id)) {
      throw Error("the client sent contents that nobody asked for", ErrorKind::corrupt);
    }
    size_ += bytes.size();
    if (size_ > limit_) {
      throw Error(fmt::format("a file that is to be read is larger than {} bytes", limit_));
    }
    contents_[id] += bytes;
    if (bytes.empty()) waiting_.erase(id);
  }

  bool waiting() const override { return !waiting_.empty(); }

  const std::vector<std::string>& paths_;
  uint64_t limit_;
  uint64_t size_ = 0;
  std::map<std::string, uint32_t> files_;
  std::map<std::string, std::string> links_;
  std::map<std::string, uint32_t> wanted_;  // by the path as asked for
  std::set<uint32_t> waiting_;
  std::map<uint32_t, std::string> contents_;
};

// -- sending

class Sender {
 public:
  Sender(PacketStream& stream, const TreeToSend& tree, const SyncProgress& progress)
      : stream_(stream), tree_(tree), progress_(progress) {}

  void run() {
    std::exception_ptr failure;
    std::thread lister([&] {
      try {
        list();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    std::optional<Error> ended;
    try {
      serve();
    } catch (const Error& error) {
      ended = error;
    }
    lister.join();
    if (ended) throw *ended;
    if (failure) std::rethrow_exception(failure);
  }

 private:
  void list() {
    std::map<uint32_t, const std::string*> links;  // first path of each hard link
    for (const Entry& entry : tree_.entries) {
      Packet packet;
      packet.set_type(Packet::PACKET_STAT);
      auto& stat = *packet.mutable_stat();
      put_stat(entry, entry.path, stat);
      if (entry.hardlink_group != 0) {
        const auto [first, is_first] = links.try_emplace(entry.hardlink_group, &entry.path);
        if (!is_first) {
          stat.set_linkname(*first->second);
          stat.set_size(0);
        }
      }
      if (!write(packet)) return;
    }
    Packet last;
    last.set_type(Packet::PACKET_STAT);
    write(last);
  }

  void serve() {
    Packet packet;
    while (stream_.read(packet)) {
      switch (packet.type()) {
        case Packet::PACKET_ERR:
          throw Error("error from receiver: " + packet.data());
        case Packet::PACKET_REQ:
          send_file(packet.id());
          break;
        case Packet::PACKET_FIN: {
          Packet fin;
          fin.set_type(Packet::PACKET_FIN);
          write(fin);
          return;
        }
        default:
          break;
      }
    }
    throw Error("the client ended the transfer of a directory", ErrorKind::unavailable);
  }

  void send_file(uint32_t id) {
    if (id >= tree_.entries.size() || tree_.entries[id].type != EntryType::regular) {
      throw Error("the client asked for a file that there is not", ErrorKind::corrupt);
    }
    const UniqueFd file = tree_.open(tree_.entries[id]);
    std::string buffer(kPieceSize, '\0');
    Packet packet;
    packet.set_type(Packet::PACKET_DATA);
    packet.set_id(id);
    for (;;) {
      const size_t size = sys::read_some(file.get(), buffer.data(), buffer.size());
      packet.set_data(buffer.substr(0, size));
      if (!write(packet)) throw Error("the client is gone", ErrorKind::unavailable);
      if (size == 0) return;
      sent_ += size;
      if (progress_) progress_(sent_);
    }
  }

  bool write(const Packet& packet) {
    const std::lock_guard lock(mutex_);
    return stream_.write(packet);
  }

  PacketStream& stream_;
  const TreeToSend& tree_;
  SyncProgress progress_;
  std::mutex mutex_;  // of writing
  uint64_t sent_ = 0;
};

}  // namespace

SyncedDirectory SyncedDirectory::take(const std::string& root, const std::string& key) {
  sys::make_dirs(root, 0700);
  for (int slot = 0;; ++slot) {
    const std::string directory =
        fmt::format("{}/{}.{}", root, Digest::of(key).hex().substr(0, 32), slot);
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
  DirectoryReceiver receiver(stream, root.get(), std::move(known), progress);
  receiver.run();
  write_entries(list, receiver.entries());
  return receiver.bytes();
}

std::map<std::string, std::string> receive_files(PacketStream& stream,
                                                 const std::vector<std::string>& paths,
                                                 uint64_t limit) {
  MemoryReceiver receiver(stream, paths, limit);
  receiver.run();
  return receiver.take();
}

void send_tree(PacketStream& stream, const TreeToSend& tree, const SyncProgress& progress) {
  Sender(stream, tree, progress).run();
}

}  // namespace lade
