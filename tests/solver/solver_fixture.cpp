#include "solver_fixture.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/state.hpp"
#include "snapshotter/tree/dir_scan.hpp"
#include "solver/source/local_options.hpp"

namespace lade::testing_solver {
namespace {

std::string describe(const Entry& entry, const std::string& path, const std::string& content) {
  const std::string meta = fmt::format("{:o} {}:{} {}", entry.mode, entry.uid, entry.gid, path);
  switch (entry.type) {
    case EntryType::directory:
      return "d " + meta;
    case EntryType::regular:
      return "f " + meta + " = " + content;
    case EntryType::symlink:
      return "l " + path + " -> " + entry.link_target;
    case EntryType::whiteout:
      return "w " + path;
    default:
      return "? " + meta;
  }
}

std::string read_fd(UniqueFd fd) {
  FdSource source(std::move(fd));
  return read_all(source, 1u << 20, "a test's file");
}

void check(int result, const std::string& path) {
  if (result != 0) throw_errno(path);
}

}  // namespace

void StateTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to set owners and devices";
  state_ = StateDir::open(dir_.path() + "/state");
}

void StateTest::write(const std::string& root, const std::vector<File>& files) {
  for (const auto& file : files) {
    const bool directory = file.path.ends_with('/');
    const std::string path = clean_path(root + "/" + file.path);
    sys::make_dirs(directory ? path : dir_name(path));
    if (!file.link.empty()) {
      check(::symlink(file.link.c_str(), path.c_str()), path);
    } else if (!file.hardlink_to.empty()) {
      check(::link((root + "/" + file.hardlink_to).c_str(), path.c_str()), path);
      continue;
    } else if (!directory) {
      const UniqueFd fd = sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      sys::write_all(fd.get(), file.content);
    }
    check(::lchown(path.c_str(), file.uid, file.gid), path);
    if (file.link.empty()) {
      check(::chmod(path.c_str(), directory && file.mode == 0644 ? 0755 : file.mode), path);
    }
  }
  // From the deepest up: writing below a directory touches it.
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const timespec times[2] = {{file->mtime, 0}, {file->mtime, 0}};
    const std::string path = clean_path(root + "/" + file->path);
    check(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), path);
  }
}

LayerId StateTest::layer(const std::vector<File>& files) {
  PendingLayer pending = layers().prepare();
  write(pending.path(), files);
  return layers().commit_upper(std::move(pending), {});
}

std::string StateTest::context(const std::vector<File>& files, const std::string& name) {
  const std::string path = dir_.path() + "/" + name;
  sys::remove_tree(AT_FDCWD, path);
  sys::make_dirs(path);
  write(path, files);
  return path;
}

std::shared_ptr<const Tree> StateTest::scan(const std::string& path,
                                            std::vector<std::string> ignore) const {
  LocalSourceOptions options;
  options.directory = path;
  options.name = "the build context";
  options.ignore_patterns = std::move(ignore);
  options.ignore_file = ".dockerignore";
  for (size_t i = 0; i < options.ignore_patterns.size(); ++i) {
    options.ignore_lines.push_back(static_cast<int>(i + 1));
  }
  options.cache_dir = state_->root() + "/stat-cache";
  sys::make_dirs(options.cache_dir, 0700);
  return scan_local(options);
}

std::vector<std::string> StateTest::view(const LayerStack& stack) {
  std::vector<std::string> out;
  const MergedIndex merged = layers().merged(stack);
  merged.walk("", [&](const Found& found) {
    std::string bytes;
    if (found.entry->type == EntryType::regular) bytes = read_fd(layers().open_file(stack, found));
    out.push_back(describe(*found.entry, found.path, bytes));
    return true;
  });
  return out;
}

std::vector<std::string> StateTest::own(LayerId layer) {
  std::vector<std::string> out;
  const auto index = layers().index(layer);
  for (const auto& one : index->entries()) {
    if (one.path.empty()) continue;
    std::string bytes;
    if (one.type == EntryType::regular) bytes = read_fd(layers().open_entry(layer, one));
    out.push_back(describe(one, one.path, bytes));
  }
  return out;
}

std::string StateTest::content(const LayerStack& stack, const std::string& path) {
  const auto found = layers().merged(stack).find(path);
  if (!found) throw Error("no " + path);
  return read_fd(layers().open_file(stack, *found));
}

Entry StateTest::entry(const LayerStack& stack, const std::string& path) {
  const MergedIndex merged = layers().merged(stack);
  const auto found = merged.find(path);
  if (!found) throw Error("no " + path);
  return *found->entry;
}

}  // namespace lade::testing_solver
