#include "solver/source/local.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/holes.hpp"
#include "base/pattern.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/source/frozen_file.hpp"
#include "solver/source/local_scan.hpp"

namespace lade {
namespace {

/// From where on, and how often, it is told how far the reading has come.
constexpr uint64_t kLongReading = 100'000'000;

UniqueFd empty_file() {
  UniqueFd fd(::memfd_create("empty", MFD_CLOEXEC));
  if (!fd) throw_errno("could not make a memory file");
  return fd;
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
    LocalScanner scanner(options_, cache_);
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
    if (const FrozenFile* frozen = frozen_file(file)) return frozen->open();
    UniqueFd fd = open_now(file);
    if (FileStamp::of(sys::fstat(fd.get())) != scanned(file).file.stamp) {
      return freeze(file).open();
    }
    if (S_ISSOCK(scanned(file).mode)) return empty_file();
    return fd;
  }

  Digest content(const Found& file) const override {
    Scanned& one = scanned(file);
    {
      const std::lock_guard lock(mutex_);
      if (const Digest& known = one.file.content; !known.empty()) return known;
    }
    if (options_.unsteady.contains(file.path)) return freeze(file).digest();
    const UniqueFd fd = open_now(file);
    const bool is_socket = S_ISSOCK(one.mode);
    const auto is_as_scanned = [&] {
      return FileStamp::of(sys::fstat(fd.get())) == one.file.stamp;
    };
    if (!is_as_scanned()) return freeze(file).digest();
    const CopiedFile hashed = hash_with_holes(is_socket ? empty_file().get() : fd.get(),
                                              [this](uint64_t bytes) { count_read(bytes); });
    if (hashed.size != file.entry->size || !is_as_scanned()) return freeze(file).digest();
    const std::lock_guard lock(mutex_);
    learnt_ = true;
    // Unless it was frozen meanwhile.
    if (one.file.content.empty()) one.file.content = hashed.content;
    return one.file.content;
  }

  Entry hashed(const Found& file) const override {
    Entry entry = Tree::hashed(file);
    if (const FrozenFile* frozen = frozen_file(file)) entry.size = frozen->size();
    return entry;
  }

  bool copied(const Found& file, const Digest& digest) const override {
    if (content(file) == digest) return true;
    if (frozen_file(file)) {
      throw Error("a copy of " + quoted(file.path) + " is not what it was", ErrorKind::corrupt);
    }
    freeze(file);
    return false;
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

  void watch_reading(std::function<void(const TreeReading&)> told) const override {
    const std::lock_guard lock(mutex_);
    told_ = std::move(told);
    if (std::exchange(is_watched_, true)) return;
    for (const auto& one : found_) {
      if (!S_ISREG(one.mode) || !one.file.content.empty()) continue;
      reading_.total += static_cast<uint64_t>(one.file.stamp.size);
      ++reading_.files;
    }
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
  void count_read(uint64_t bytes) const {
    const std::lock_guard lock(mutex_);
    const uint64_t before = reading_.done;
    reading_.done += bytes;
    if (told_ && before / kLongReading != reading_.done / kLongReading) told_(reading_);
  }

  /// By what decides what is scanned.
  static std::string cache_name(const LocalSourceOptions& options) {
    WireWriter writer;
    writer.text(options.directory).texts(options.ignore_patterns);
    return Digest::of(writer.str()).hex().substr(0, 32);
  }

  size_t position(const Found& file) const { return static_cast<size_t>(file.entry - entries_); }
  Scanned& scanned(const Found& file) const { return found_[position(file)]; }

  /// What is there now, if it still is of the same type.
  UniqueFd open_now(const Found& file) const {
    const mode_t type = scanned(file).mode & S_IFMT;
    const int flags = S_ISSOCK(type) ? O_PATH : O_RDONLY | O_NONBLOCK;
    auto fd = sys::open_in_root(root_.get(), file.path, flags | O_NOFOLLOW);
    if (!fd || (sys::fstat(fd->get()).st_mode & S_IFMT) != type) throw_changed(file);
    return std::move(*fd);
  }

  const FrozenFile* frozen_file(const Found& file) const {
    const std::lock_guard lock(mutex_);
    const auto found = frozen_.find(position(file));
    return found == frozen_.end() ? nullptr : &found->second;
  }

  /// Keeps a file as it is, or, if it was hashed, as far as it went then.
  const FrozenFile& freeze(const Found& file) const {
    constexpr int kReads = 10;
    // Another thread must not hash it meanwhile.
    const std::lock_guard one_at_a_time(freezing_);
    if (const FrozenFile* frozen = frozen_file(file)) return *frozen;
    Digest known;
    {
      const std::lock_guard lock(mutex_);
      known = scanned(file).file.content;
    }
    for (int reads = 0; reads < kReads; ++reads) {
      const UniqueFd fd = open_now(file);
      if (S_ISSOCK(scanned(file).mode)) throw_changed(file);
      const struct stat before = sys::fstat(fd.get());
      const auto size = known.empty() ? static_cast<uint64_t>(before.st_size) : file.entry->size;
      auto copy = FrozenFile::take(fd.get(), size, options_.cache_dir);
      if (!known.empty() && (!copy || copy->digest() != known)) throw_changed(file);
      const struct stat after = sys::fstat(fd.get());
      const bool is_whole = FileStamp::of(before) == FileStamp::of(after) ||
                            after.st_size > before.st_size;  // it was written on
      if (!copy || (known.empty() && !is_whole)) continue;
      const std::lock_guard lock(mutex_);
      learnt_ = true;  // it is not to be remembered
      scanned(file).file.content = copy->digest();
      return frozen_.emplace(position(file), std::move(*copy)).first->second;
    }
    throw_changed(file);
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
    for (size_t i = 0; i < found_.size(); ++i) {
      if (is_settled(found_[i]) && !frozen_.contains(i)) known.files.push_back(found_[i].file);
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
    throw ChangedContext(options_.name, file.path);
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
  mutable TreeReading reading_;
  mutable bool is_watched_ = false;
  mutable std::function<void(const TreeReading&)> told_;
  mutable std::map<size_t, FrozenFile> frozen_;  // by position in found_; none goes
  mutable std::mutex freezing_;
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
