#include "solver/source/local.hpp"

#include <algorithm>
#include <climits>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/directory_chain.hpp"
#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/source/stat_cache.hpp"

namespace lade {
namespace {

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

UniqueFd empty_file() {
  UniqueFd fd(::memfd_create("empty", MFD_CLOEXEC));
  if (!fd) throw_errno("could not make a memory file");
  return fd;
}

/// What a scan found of one path.
struct Scanned {
  KnownFile file;
  bool is_known = false;  ///< from the scan before: nothing but stat was asked
  mode_t mode = 0;
  dev_t device = 0;  ///< of device files
  uint32_t hardlink_group = 0;
  uint32_t filesystem = 0;  ///< index into what the scan found of those
};

/// A filesystem of a scanned tree, and what its files' times say of it.
struct ScannedFilesystem {
  Filesystem traits;
  int64_t newest_ns = 0;          ///< change time, but for those that no server can have given yet
  bool has_change_times = false;  ///< some differ from the modification times
};

/// One pass over the directory, in the order of an index.
class Scanner {
 public:
  Scanner(const LocalSourceOptions& options, StatCache& cache)
      : options_(options), cache_(cache), ignore_(options.ignore_patterns) {}

  void run(int root) {
    const struct stat info = sys::fstat(root);
    last_device_ = info.st_dev;
    by_device_[info.st_dev] = 0;
    filesystems.push_back({Filesystem::of(root)});
    add(root, ".", "", info);
    place_.emplace(sys::openat(root, ".", O_RDONLY | O_DIRECTORY), DirectoryChain::Mounts::cross);
    descend("", nullptr);
  }

  std::deque<std::string> strings;  // what is not in the cache: paths and link targets
  std::vector<Scanned> found;
  std::vector<ScannedFilesystem> filesystems;

 private:
  /// Lists place_, which is `prefix`.
  void descend(const std::string& prefix, const PatternMatcher::Match* parent) {
    std::string path = prefix.empty() ? "" : prefix + "/";
    const size_t parent_size = path.size();
    for (const auto& name : sys::list_dir(place_->fd())) {
      const int dir = place_->fd();
      path.resize(parent_size);
      path += name;
      if (path.size() >= PATH_MAX) {
        throw Error(fmt::format("the build context has a path of more than {} bytes below {}",
                                PATH_MAX - 1, quoted(path.substr(0, path.find('/')))));
      }
      PatternMatcher::Match match;
      if (!ignore_.empty()) match = ignore_.match(path, parent);
      struct stat info{};
      if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // gone since it was listed
        throw_errno("could not stat " + quoted(options_.directory + "/" + path));
      }
      const bool directory = S_ISDIR(info.st_mode);
      if (match.matched && !(directory && ignore_.exception_may_match_below(path))) continue;
      const size_t position = found.size();
      add(dir, name, path, info);
      if (!directory) continue;
      with_context("could not read the build context", [&] { place_->enter(name); });
      descend(path, &match);
      place_->leave();
      // An excluded directory is there only for what "!" took back below it.
      if (match.matched && found.size() == position + 1) found.pop_back();
    }
  }

  void add(int dir, const std::string& name, const std::string& path, const struct stat& info) {
    Scanned& out = found.emplace_back();
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

  uint32_t filesystem_of(int dir, const std::string& name, dev_t device) {
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

  uint32_t group_of(const struct stat& info) {
    const auto next = static_cast<uint32_t>(groups_.size() + 1);
    return groups_.emplace(std::pair(info.st_dev, info.st_ino), next).first->second;
  }

  static std::vector<sys::Xattr> read_xattrs(int dir, const std::string& name) {
    std::vector<sys::Xattr> out;
    for (auto& xattr : sys::list_xattrs_of(fmt::format("/proc/self/fd/{}/{}", dir, name))) {
      // Labels of the host's security modules and overlay's own marks are not the file's.
      const bool kept = xattr.name == "security.capability" || xattr.name.starts_with("user.");
      if (kept && !xattr.name.starts_with("user.overlay.")) out.push_back(std::move(xattr));
    }
    return out;
  }

  const LocalSourceOptions& options_;
  StatCache& cache_;
  PatternMatcher ignore_;
  std::optional<DirectoryChain> place_;
  std::map<std::pair<dev_t, ino_t>, uint32_t> groups_;
  std::map<dev_t, uint32_t> by_device_;  // indexes of filesystems
  dev_t last_device_ = 0;
  // A server's clock may be ahead of ours, but what is far ahead was set wrong at some time.
  const int64_t latest_ = now_ns() + 3600 * int64_t{1'000'000'000};
};

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

/// A scanned directory. If nothing has changed since the scan before, the same selections give
/// what they gave then, and no entry is made unless a copy runs.
class LocalTree : public Tree {
 public:
  explicit LocalTree(LocalSourceOptions options)
      : options_(std::move(options)),
        root_(sys::open(options_.directory, O_RDONLY | O_DIRECTORY)),
        started_ns_(stamp_clock_ns()),
        cache_path_(options_.cache_dir + "/" + cache_name(options_)),
        cache_(cache_path_) {
    const int64_t started = uptime_ns();
    Scanner scanner(options_, cache_);
    scanner.run(root_.get());
    strings_ = std::move(scanner.strings);
    found_ = std::move(scanner.found);
    filesystems_ = std::move(scanner.filesystems);
    learn_clocks(started, uptime_ns());
    unchanged_ =
        found_.size() == cache_.size() &&
        std::all_of(found_.begin(), found_.end(), [](const Scanned& one) { return one.is_known; });
    if (unchanged_) selections_ = cache_.selections();
  }

  ~LocalTree() override {
    if (!unchanged_ || learnt_) save();
  }

  const MergedIndex& index() const override {
    std::call_once(indexed_, [this] {
      std::vector<Entry> entries;
      entries.reserve(found_.size());
      for (const auto& one : found_) entries.push_back(entry_of(one));
      auto layer = std::make_shared<const LayerIndex>(std::move(entries));
      entries_ = layer->entries().data();
      index_.emplace(std::vector{std::move(layer)});
    });
    return *index_;
  }

  UniqueFd open(const Found& file) const override {
    const bool is_socket = S_ISSOCK(scanned(file).mode);
    const int flags = (is_socket ? O_PATH : O_RDONLY) | O_NOFOLLOW;
    auto fd = sys::open_in_root(root_.get(), file.path, flags);
    if (!fd || FileStamp::of(sys::fstat(fd->get())) != scanned(file).file.stamp) {
      throw_changed(file);
    }
    if (is_socket) return empty_file();
    return std::move(*fd);
  }

  Digest content(const Found& file) const override {
    {
      const std::lock_guard lock(mutex_);
      if (const Digest& known = scanned(file).file.content; !known.empty()) return known;
    }
    FdSource source(open(file));
    HashSink sink;
    copy_stream(source, sink);
    if (sink.size() != file.entry->size) throw_changed(file);
    const std::lock_guard lock(mutex_);
    learnt_ = true;
    return scanned(file).file.content = sink.digest();
  }

  void copied(const Found& file, const Digest& digest) const override {
    if (content(file) != digest) throw_changed(file);
  }

  std::optional<Digest> known_selection(const Digest& question) const override {
    const std::lock_guard lock(mutex_);
    const auto known = selections_.find(question);
    if (known == selections_.end()) return std::nullopt;
    return known->second;
  }

  void remember_selection(const Digest& question, const Digest& selection) const override {
    constexpr size_t kMany = 4096;  // of one directory that never changed
    const std::lock_guard lock(mutex_);
    if (selections_.size() >= kMany) selections_.clear();
    selections_[question] = selection;
    learnt_ = true;
  }

  std::string what() const override { return options_.name; }

  std::string missing_hint(const std::string& path) const override {
    const std::string relative = path.substr(1);
    if (sys::open_in_root(root_.get(), relative.empty() ? "." : relative, O_PATH | O_NOFOLLOW)) {
      if (PatternMatcher(options_.ignore_patterns).matches(relative)) {
        return "it exists but is excluded by " + excluding_line(relative);
      }
    }
    std::vector<std::string> names;
    const auto parent = index().resolve(dir_name(path).substr(1));
    if (!parent) return {};
    for (const auto& [name, found] : index().list(parent->path)) names.push_back(name);
    const std::string meant = nearest(base_name(path), names);
    return meant.empty() ? "" : "did you mean " + join_path(dir_name(path), meant) + "?";
  }

 private:
  /// By what decides what is scanned.
  static std::string cache_name(const LocalSourceOptions& options) {
    WireWriter writer;
    writer.text(options.directory).texts(options.ignore_patterns);
    return Digest::of(writer.str()).hex().substr(0, 32);
  }

  Scanned& scanned(const Found& file) const {
    return found_[static_cast<size_t>(file.entry - entries_)];
  }

  /// What servers' clocks showed at least when the scan started: what they were known to show, or
  /// the newest time that one of them has given, which may be as old as the scan.
  void learn_clocks(int64_t started, int64_t ended) {
    for (const auto& one : filesystems_) {
      const uint64_t identity = one.traits.identity;
      if (one.traits.has_own_clock || identity == 0) continue;
      ServerClock& clock = clocks_[identity];
      int64_t& at_start = at_start_[identity];
      at_start = one.newest_ns - (ended - started);
      clock = {one.newest_ns, ended};
      const auto known = cache_.clocks().find(identity);
      if (known == cache_.clocks().end()) continue;
      at_start = std::max(at_start, known->second.at_least(started));
      clock.stamp_ns = std::max(clock.stamp_ns, known->second.at_least(ended));
    }
  }

  /// Whether the file is what it was for as long as its stamp is.
  bool is_settled(const Scanned& one) const {
    if (one.is_known) return true;
    const ScannedFilesystem& filesystem = filesystems_[one.filesystem];
    const Filesystem& traits = filesystem.traits;
    if (traits.identity == 0 || (traits.is_doubtful && !filesystem.has_change_times)) return false;
    if (traits.is_frozen) return true;
    if (traits.has_own_clock) return one.file.stamp.is_settled(started_ns_, true);
    return one.file.stamp.is_settled(at_start_.at(traits.identity), false);
  }

  /// What could change without another stamp is not remembered, nor then what was selected.
  void save() const {
    KnownTree known;
    known.files.reserve(found_.size());
    for (const auto& one : found_) {
      if (is_settled(one)) known.files.push_back(one.file);
    }
    if (known.files.size() == found_.size()) known.selections = selections_;
    known.clocks = clocks_;
    StatCache::save(cache_path_, known);
  }

  /// The pattern without which `relative` would not be excluded: ".dockerignore:3 ('*.o')".
  std::string excluding_line(const std::string& relative) const {
    std::vector<std::string> patterns = options_.ignore_patterns;
    while (patterns.size() > 1) {
      const std::string last = std::move(patterns.back());
      patterns.pop_back();
      if (PatternMatcher(patterns).matches(relative)) continue;
      patterns.push_back(last);
      break;
    }
    const size_t index = patterns.size() - 1;
    std::string place = options_.ignore_file;
    if (index < options_.ignore_lines.size()) {
      place += fmt::format(":{}", options_.ignore_lines[index]);
    }
    return fmt::format("{} ({})", place, quoted(patterns.back()));
  }

  [[noreturn]] void throw_changed(const Found& file) const {
    Error error(fmt::format("{} changed while building", quoted(file.path)));
    error.set_hint("build again, when nothing writes to " + options_.name);
    throw error;
  }

  LocalSourceOptions options_;
  UniqueFd root_;
  int64_t started_ns_;  // by the clock that stamps files
  std::string cache_path_;
  StatCache cache_;
  std::deque<std::string> strings_;
  std::vector<ScannedFilesystem> filesystems_;
  ServerClocks clocks_;                   // of filesystems elsewhere
  std::map<uint64_t, int64_t> at_start_;  // what those showed at least
  bool unchanged_ = false;                // since what the cache remembers
  mutable std::once_flag indexed_;
  mutable std::optional<MergedIndex> index_;
  mutable const Entry* entries_ = nullptr;  // of index_, in the order of found_
  mutable std::mutex mutex_;                // guards the digests in found_, and what follows
  mutable std::vector<Scanned> found_;
  mutable Selections selections_;
  mutable bool learnt_ = false;
};

}  // namespace

std::shared_ptr<const Tree> scan_local(const LocalSourceOptions& options) {
  return std::make_shared<LocalTree>(options);
}

LocalScan begin_scan(LocalSourceOptions options) {
  return std::async(std::launch::async,
                    [options = std::move(options)] { return scan_local(options); });
}

}  // namespace lade
