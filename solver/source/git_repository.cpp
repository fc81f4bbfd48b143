#include "solver/source/git_repository.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "registry/net/http.hpp"
#include "snapshotter/tree/dir_scan.hpp"

namespace lade {
namespace {

constexpr std::string_view kRefs = "refs/lade/";
constexpr auto kLockPoll = std::chrono::milliseconds(50);

bool says(const GitError& error, std::initializer_list<const char*> phrases) {
  return std::any_of(phrases.begin(), phrases.end(), [&](const char* phrase) {
    return error.output().find(phrase) != std::string::npos;
  });
}

/// Runs git; once more without --depth if the remote cannot cut history off (the dumb HTTP
/// protocol).
void run_shallow(const GitCommand& git, GitReach reach, std::vector<std::string> args) {
  try {
    git.run(reach, args);
  } catch (const GitError& error) {
    if (!says(error, {"--depth", "shallow"})) throw;
    std::erase(args, "--depth=1");
    git.run(reach, args);
  }
}

bool exists(const std::string& path) {
  return sys::lstatat(AT_FDCWD, path).has_value();
}

/// A file:// URL of an absolute path.
std::string file_url(const std::string& path) {
  auto parts = split(path, '/');
  for (auto& part : parts) part = url_encode(part);
  return "file://" + join(parts, "/");
}

/// Appends a remote to a repository's configuration. Not by `git config`, whose command line
/// others can read.
void write_origin(const std::string& git_dir, const std::string& url) {
  std::string value;
  for (const char c : url) {
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  const UniqueFd config = sys::open(git_dir + "/config", O_WRONLY | O_APPEND | O_NOFOLLOW);
  sys::write_all(config.get(), fmt::format("[remote \"origin\"]\n\turl = \"{}\"\n"
                                           "\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
                                           value));
}

/// Moves what is in the directory `subdir` of `from` into `to`. Every part of its path must be a
/// directory itself: links could lead anywhere.
void move_contents(const std::string& from, const std::string& subdir, const std::string& to) {
  UniqueFd dir = sys::open(from, O_RDONLY | O_DIRECTORY);
  for (const auto& part : split(subdir, '/')) {
    const auto info = sys::lstatat(dir.get(), part);
    if (!info) {
      throw Error(fmt::format("the repository has no directory {}", quoted(subdir)),
                  ErrorKind::not_found);
    }
    if (!S_ISDIR(info->st_mode)) {
      throw Error(fmt::format("{} of {} is not a directory", quoted(part), quoted(subdir)));
    }
    dir = sys::openat(dir.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
  const UniqueFd target = sys::open(to, O_RDONLY | O_DIRECTORY);
  for (const auto& name : sys::list_dir(dir.get())) {
    sys::renameat(dir.get(), name, target.get(), name);
  }
}

void set_times(int root, std::vector<Entry>& entries, int64_t seconds) {
  // Directories after what is in them.
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return compare_paths(a.path, b.path) > 0; });
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  for (auto& entry : entries) {
    const char* path = entry.path.empty() ? "." : entry.path.c_str();
    if (::utimensat(root, path, times, AT_SYMLINK_NOFOLLOW) != 0) {
      throw_errno("could not set the time of " + quoted(entry.path));
    }
    entry.mtime_sec = seconds;
    entry.mtime_nsec = 0;
  }
}

/// Submodules' ".git" files lead to repositories that do not stay. No commit can hold a file of
/// that name.
void remove_git_files(int root, std::vector<Entry>& entries) {
  std::erase_if(entries, [&](const Entry& entry) {
    const bool named = entry.path == ".git" || entry.path.ends_with("/.git");
    if (!named || entry.type != EntryType::regular) return false;
    sys::unlinkat(root, entry.path);
    return true;
  });
}

UniqueFd lock_file(const std::string& path, const Cancellation& cancellation) {
  UniqueFd lock = sys::open(path, O_RDWR | O_CREAT, 0600);
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw_errno("could not lock " + quoted(path));
    cancellation.check();
    std::this_thread::sleep_for(kLockPoll);
  }
  return lock;
}

}  // namespace

bool is_git_hash(const std::string& text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

GitRepository GitRepository::open(const std::string& git_root, const std::string& remote,
                                  bool sha256, GitCommand command,
                                  const Cancellation& cancellation) {
  const std::string id = Digest::of(remote + (sha256 ? "\nsha256" : "")).hex().substr(0, 32);
  UniqueFd lock = lock_file(git_root + "/" + id + ".lock", cancellation);
  ::futimens(lock.get(), nullptr);  // when it was last used, for garbage collection
  GitRepository repository(std::move(command), std::move(lock), git_root + "/" + id, sha256);
  repository.command_.lock_fd = repository.lock_.get();
  repository.existed_ = exists(repository.path_);
  if (!repository.existed_) repository.init();
  return repository;
}

void GitRepository::reset() {
  sys::remove_tree(AT_FDCWD, path_);
  init();
  existed_ = false;
}

void GitRepository::init() {
  // Complete before it has its name.
  const std::string making = path_ + ".new";
  sys::remove_tree(AT_FDCWD, making);
  sys::make_dirs(making, 0700);
  GitCommand git = command_;
  git.git_dir = making;
  std::vector<std::string> args = {"init", "--quiet", "--bare"};
  if (sha256_) args.emplace_back("--object-format=sha256");
  git.run(GitReach::nothing, args);
  sys::renameat(AT_FDCWD, making, AT_FDCWD, path_);
}

GitCommand GitRepository::bare() const {
  GitCommand git = command_;
  git.git_dir = path_;
  return git;
}

bool GitRepository::has(const std::string& object) const {
  return bare()
      .try_run(GitReach::nothing, {"rev-parse", "--verify", "--quiet", std::string(kRefs) + object})
      .has_value();
}

void GitRepository::fetch(const std::string& object) {
  if (has(object)) return;
  // A killed git may have left it; nobody else is at work here.
  sys::remove_tree(AT_FDCWD, path_ + "/shallow.lock");
  const std::string refspec = fmt::format("+{}:{}{}", object, kRefs, object);
  try {
    run_shallow(bare(), GitReach::network,
                {"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--",
                 "origin", refspec});
  } catch (const GitError& error) {
    // Old servers give only what a branch or tag points at.
    if (!says(error, {"not our ref", "unadvertised object", "find remote ref", "no such remote ref",
                      "Cannot obtain needed", "Could not read"})) {
      throw;
    }
    fetch_all(object);
  }
}

void GitRepository::fetch_all(const std::string& object) {
  std::vector<std::string> args = {"fetch", "--quiet", "--no-tags", "--no-write-fetch-head"};
  if (exists(path_ + "/shallow")) args.emplace_back("--unshallow");
  args.insert(args.end(),
              {"--", "origin", "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"});
  bare().run(GitReach::network, args);
  if (!bare().try_run(GitReach::nothing, {"cat-file", "-e", object + "^{commit}"})) {
    throw Error("the repository has no commit " + object, ErrorKind::not_found);
  }
  bare().run(GitReach::nothing, {"update-ref", std::string(kRefs) + object, object});
}

std::string GitRepository::peel(const std::string& object) const {
  return std::string(trim(
      bare().run(GitReach::nothing, {"rev-parse", "--verify", "--quiet", object + "^{commit}"})));
}

int64_t GitRepository::commit_time(const std::string& object) const {
  const std::string out(
      trim(bare().run(GitReach::nothing, {"show", "-s", "--format=%ct", object + "^{commit}"})));
  int64_t seconds = 0;
  std::from_chars(out.data(), out.data() + out.size(), seconds);
  return seconds;
}

void GitRepository::init_checkout(GitCommand& git, const std::string& origin) const {
  std::vector<std::string> args = {"init", "--quiet"};
  if (sha256_) args.emplace_back("--object-format=sha256");
  // With a work tree in its environment, init would write it down.
  const std::string work_tree = std::exchange(git.work_tree, {});
  git.configure_origin = false;
  git.run(GitReach::nothing, args);
  git.work_tree = work_tree;
  write_origin(git.git_dir, origin);
}

void GitRepository::check_out_tree(const GitCommit& commit, GitCommand git,
                                   const std::string& origin) const {
  init_checkout(git, origin);
  sys::make_dirs(git.git_dir + "/objects/info", 0700);
  sys::write_file_atomically(git.git_dir + "/objects/info/alternates", path_ + "/objects\n", 0600);
  git.run(GitReach::nothing, {"read-tree", "--reset", "-u", commit.object});
}

void GitRepository::check_out_clone(const GitCommit& commit, GitCommand git,
                                    const std::string& origin) const {
  init_checkout(git, origin);
  // A branch or tag is there by its name, as after a clone of it.
  std::string refspec = std::string(kRefs) + commit.object;
  if (!is_git_hash(commit.ref)) refspec += ":" + commit.ref;
  git.run(GitReach::files, {"-c", "core.logAllRefUpdates=false", "fetch", "--quiet", "--no-tags",
                            "--update-head-ok", "--depth=1", "--", file_url(path_), refspec});
  git.run(GitReach::nothing,
          {"-c", "core.logAllRefUpdates=false", "checkout", "--quiet", "--detach", "FETCH_HEAD"});
  sys::unlinkat(AT_FDCWD, git.git_dir + "/FETCH_HEAD");
}

void GitRepository::update_submodules(const GitCommand& git) {
  const auto modules = sys::lstatat(AT_FDCWD, git.work_tree + "/.gitmodules");
  if (!modules || !S_ISREG(modules->st_mode)) return;
  run_shallow(git, GitReach::network,
              {"submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"});
}

std::vector<Entry> GitRepository::check_out(const GitCommit& commit, const GitCheckout& checkout,
                                            const PendingLayer& layer) const {
  const bool keep = checkout.keep_git_dir && checkout.subdir.empty();
  GitCommand git = command_;
  git.work_tree = layer.path();
  git.git_dir = (keep ? layer.path() : layer.work()) + "/.git";
  if (!checkout.subdir.empty()) {
    git.work_tree = layer.work() + "/tree";
    sys::make_dirs(git.work_tree, 0755);
  }
  if (keep) {
    check_out_clone(commit, git, checkout.origin);
  } else {
    check_out_tree(commit, git, command_.remote());
  }
  git.configure_origin = false;
  if (checkout.submodules) update_submodules(git);
  if (!checkout.subdir.empty()) move_contents(git.work_tree, checkout.subdir, layer.path());
  sys::remove_tree(AT_FDCWD, layer.work() + "/.git");
  sys::remove_tree(AT_FDCWD, layer.work() + "/tree");
  const UniqueFd root = sys::open(layer.path(), O_RDONLY | O_DIRECTORY);
  std::vector<Entry> entries = scan_tree(root.get(), false);
  if (!keep) remove_git_files(root.get(), entries);
  if (checkout.commit_times) set_times(root.get(), entries, commit_time(commit.object));
  return entries;
}

}  // namespace lade
