#include "solver/source/local.hpp"

#include <chrono>
#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"
#include "solver/source/stat_cache.hpp"

namespace lade {
namespace {

int64_t realtime_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

EntryType type_of(mode_t mode) {
  if (S_ISDIR(mode)) return EntryType::directory;
  if (S_ISLNK(mode)) return EntryType::symlink;
  if (S_ISCHR(mode)) return EntryType::char_device;
  if (S_ISBLK(mode)) return EntryType::block_device;
  if (S_ISFIFO(mode)) return EntryType::fifo;
  if (S_ISSOCK(mode)) return EntryType::socket;
  return EntryType::regular;
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

/// One pass over the directory, in the order of an index.
class Scanner {
 public:
  explicit Scanner(const LocalSourceOptions& options)
      : options_(options), ignore_(options.ignore_patterns) {}

  void run(int root) {
    add(root, ".", "", sys::fstat(root));
    descend(root, "", nullptr);
  }

  std::vector<Entry> entries;
  std::unordered_map<std::string, FileStamp> stamps;

 private:
  void descend(int dir, const std::string& prefix, const PatternMatcher::Match* parent) {
    for (const auto& name : sys::list_dir(dir)) {
      const std::string path = prefix.empty() ? name : prefix + "/" + name;
      PatternMatcher::Match match;
      if (!ignore_.empty()) match = ignore_.match(path, parent);
      struct stat info{};
      if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // gone since it was listed
        throw_errno("could not stat " + quoted(options_.directory + "/" + path));
      }
      const bool directory = S_ISDIR(info.st_mode);
      if (match.matched && !(directory && ignore_.exception_may_match_below(path))) continue;
      const size_t position = entries.size();
      if (S_ISSOCK(info.st_mode)) continue;  // nothing that a copy could bring over
      add(dir, name, path, info);
      if (!directory) continue;
      const UniqueFd child = with_context("could not read the build context", [&] {
        return sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      });
      descend(child.get(), path, &match);
      // An excluded directory is there only for what "!" took back below it.
      if (match.matched && entries.size() == position + 1) entries.pop_back();
    }
  }

  void add(int dir, const std::string& name, const std::string& path, const struct stat& info) {
    Entry entry;
    entry.path = path;
    entry.type = type_of(info.st_mode);
    entry.mode = info.st_mode & 07777;
    entry.mtime_sec = info.st_mtim.tv_sec;
    entry.mtime_nsec = static_cast<uint32_t>(info.st_mtim.tv_nsec);
    if (entry.type == EntryType::regular) {
      entry.size = static_cast<uint64_t>(info.st_size);
      stamps.emplace(path, FileStamp::of(info));
      if (info.st_nlink > 1) entry.hardlink_group = group_of(info);
    } else if (entry.type == EntryType::symlink) {
      entry.link_target = read_link(dir, name);
    } else if (entry.type != EntryType::directory) {
      entry.dev_major = major(info.st_rdev);
      entry.dev_minor = minor(info.st_rdev);
    }
    if (entry.type == EntryType::regular || entry.type == EntryType::directory) {
      read_xattrs(dir, name, entry);
    }
    entries.push_back(std::move(entry));
  }

  uint32_t group_of(const struct stat& info) {
    const auto next = static_cast<uint32_t>(groups_.size() + 1);
    return groups_.emplace(std::pair(info.st_dev, info.st_ino), next).first->second;
  }

  void read_xattrs(int dir, const std::string& name, Entry& entry) const {
    for (auto& xattr : sys::list_xattrs_of(fmt::format("/proc/self/fd/{}/{}", dir, name))) {
      // Labels of the host's security modules and overlay's own marks are not the file's.
      const bool kept = xattr.name == "security.capability" || xattr.name.starts_with("user.");
      if (kept && !xattr.name.starts_with("user.overlay."))
        entry.xattrs.push_back(std::move(xattr));
    }
  }

  const LocalSourceOptions& options_;
  PatternMatcher ignore_;
  std::map<std::pair<dev_t, ino_t>, uint32_t> groups_;
};

class LocalTree : public Tree {
 public:
  LocalTree(const LocalSourceOptions& options, UniqueFd root, Scanner scanner)
      : options_(options),
        root_(std::move(root)),
        stamps_(std::move(scanner.stamps)),
        ignore_(options.ignore_patterns),
        cache_(options.cache_dir + "/" + Digest::of(options.directory).hex().substr(0, 32)),
        index_({std::make_shared<const LayerIndex>(std::move(scanner.entries))}) {}

  ~LocalTree() override { cache_.save(); }

  const MergedIndex& index() const override { return index_; }

  UniqueFd open(const Found& file) const override {
    auto fd = sys::open_in_root(root_.get(), file.path, O_RDONLY | O_NOFOLLOW);
    if (!fd || FileStamp::of(sys::fstat(fd->get())) != stamps_.at(file.path)) throw_changed(file);
    return std::move(*fd);
  }

  Digest content(const Found& file) const override {
    const FileStamp& stamp = stamps_.at(file.path);
    if (const auto known = cache_.find(file.path, stamp)) return *known;
    {
      const std::lock_guard lock(mutex_);
      const auto known = hashed_.find(file.path);
      if (known != hashed_.end()) return known->second;
    }
    const int64_t now = realtime_ns();
    FdSource source(open(file));
    HashSink sink;
    copy_stream(source, sink);
    if (sink.size() != file.entry->size) throw_changed(file);
    const Digest digest = sink.digest();
    cache_.put(file.path, stamp, digest, now);
    const std::lock_guard lock(mutex_);
    return hashed_[file.path] = digest;
  }

  void copied(const Found& file, const Digest& digest) const override {
    if (content(file) != digest) throw_changed(file);
  }

  std::string what() const override { return options_.name; }

  std::string missing_hint(const std::string& path) const override {
    const std::string relative = path.substr(1);
    if (sys::open_in_root(root_.get(), relative.empty() ? "." : relative, O_PATH | O_NOFOLLOW)) {
      if (!options_.ignore_patterns.empty() && ignore_.matches(relative)) {
        return "it exists but is excluded by " + excluding_line(relative);
      }
    }
    std::vector<std::string> names;
    const auto parent = index_.resolve(dir_name(path).substr(1));
    if (!parent) return {};
    for (const auto& [name, found] : index_.list(parent->path)) names.push_back(name);
    const std::string meant = nearest(base_name(path), names);
    return meant.empty() ? "" : "did you mean " + join_path(dir_name(path), meant) + "?";
  }

 private:
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
  std::unordered_map<std::string, FileStamp> stamps_;
  PatternMatcher ignore_;
  mutable StatCache cache_;
  MergedIndex index_;
  mutable std::mutex mutex_;  // guards hashed_
  mutable std::unordered_map<std::string, Digest> hashed_;
};

}  // namespace

std::shared_ptr<const Tree> scan_local(const LocalSourceOptions& options) {
  UniqueFd root = sys::open(options.directory, O_RDONLY | O_DIRECTORY);
  Scanner scanner(options);
  scanner.run(root.get());
  return std::make_shared<LocalTree>(options, std::move(root), std::move(scanner));
}

}  // namespace lade
