#include "snapshotter/state.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/reserve.hpp"
#include "snapshotter/state_migrations.hpp"

namespace lade {
namespace {

constexpr std::string_view kFormat = "lade-state 1";

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return clean_path(path);
  std::string here(4096, '\0');
  if (!::getcwd(here.data(), here.size())) throw_errno("could not get the working directory");
  return join_path(here.c_str(), path);
}

void check_owner(const std::string& root, const struct stat& info) {
  if (!S_ISDIR(info.st_mode)) throw Error("it is not a directory");
  if (info.st_uid == ::geteuid()) return;
  Error error(fmt::format("it belongs to user {}, and this is user {}", info.st_uid, ::geteuid()));
  error.set_hint(fmt::format("choose another directory with --root or LADE_ROOT; {} stays theirs",
                             quoted(root)));
  throw error;
}

/// Makes a new state directory; several processes may do so at once.
void initialise(const std::string& root) {
  sys::make_dirs(root, 0700);
  struct stat info{};
  if (::stat(root.c_str(), &info) != 0) throw_errno("could not stat it");
  check_owner(root, info);
  refuse_network_filesystem(root);
  sys::write_file_atomically(root + "/format", std::string(kFormat) + "\n", 0600);
}

/// Whether a directory without its format tag, which somebody or something removed, is a state
/// directory all the same.
bool has_lades_files(const std::string& root) {
  constexpr std::string_view kSqlite = "SQLite format 3";
  const UniqueFd file(::open((root + "/lade.db").c_str(), O_RDONLY | O_CLOEXEC));
  std::string head(kSqlite.size(), '\0');
  const ssize_t size = file ? ::pread(file.get(), head.data(), head.size(), 0) : -1;
  return size == static_cast<ssize_t>(head.size()) && head == kSqlite;
}

void check_format(const std::string& root) {
  struct stat info{};
  const bool there = ::stat(root.c_str(), &info) == 0;
  if (!there && errno != ENOENT) throw_errno("could not stat it");
  if (there) check_owner(root, info);
  const auto format = there ? sys::read_file(root + "/format", 4096) : std::nullopt;
  if (format) {
    if (trim(*format) == kFormat) return;
    throw Error(fmt::format("its format is {}, this lade knows {}", quoted(trim(*format)),
                            quoted(kFormat)));
  }
  if (there) {
    const UniqueFd dir = sys::open(root, O_RDONLY | O_DIRECTORY);
    const auto names = sys::list_dir(dir.get());
    const bool foreign = std::any_of(names.begin(), names.end(), [](const std::string& name) {
      // "format": another process is making it; the other is in every new ext4 filesystem.
      return !name.starts_with("format") && name != "lost+found";
    });
    if (foreign && !sys::read_file(root + "/format", 4096) && !has_lades_files(root)) {
      throw Error("it has files in it that are not lade's");
    }
  }
  initialise(root);
}

constexpr mode_t kOthers = 077;

/// Takes from others what they may do with a file or directory of the state.
void close_to_others(int dir, const std::string& name, const struct stat& info) {
  if (info.st_uid != ::geteuid()) {
    throw Error(fmt::format("{} in it belongs to user {}", quoted(name), info.st_uid));
  }
  if ((info.st_mode & kOthers) == 0) return;
  // A failure shows in what is there afterwards; nothing, if it was a temporary file of another
  // process.
  [[maybe_unused]] const int failed = ::fchmodat(dir, name.c_str(), info.st_mode & 0700, 0);
  if (const auto now = sys::lstatat(dir, name); now && (now->st_mode & kOthers) != 0) {
    Error error(fmt::format("other users may use {} (mode {:04o}), which cannot be changed",
                            name == "." ? "it" : quoted(name), info.st_mode & 07777));
    error.set_hint("layers have setuid programs in them: choose a directory of yours alone");
    throw error;
  }
}

/// Nobody else may enter: layers are full of setuid programs, old ones too, and of other people's
/// files. A directory that was made by hand, or by an earlier lade, may be open.
void close_state(const std::string& root) {
  const UniqueFd dir = sys::open(root, O_RDONLY | O_DIRECTORY);
  const struct stat own = sys::fstat(dir.get());
  close_to_others(dir.get(), ".", own);
  const auto is_open = [&](const char* name) {
    const auto info = sys::lstatat(dir.get(), name);
    return info && (info->st_mode & kOthers) != 0;
  };
  constexpr const char* kKnown[] = {"layers", "index", "locks", "tmp", "lade.db"};
  if ((own.st_mode & kOthers) == 0 && std::none_of(std::begin(kKnown), std::end(kKnown), is_open)) {
    return;
  }
  for (const auto& name : sys::list_dir(dir.get())) {
    const auto info = sys::lstatat(dir.get(), name);
    // What belongs to somebody else is the filesystem's, or where the user has put a part of it.
    if (!info || name == "lost+found" || S_ISLNK(info->st_mode)) continue;
    close_to_others(dir.get(), name, *info);
  }
}

}  // namespace

std::string StateDir::default_root(const std::string& option) {
  if (!option.empty()) return option;
  if (auto root = sys::getenv("LADE_ROOT"); !root.empty()) return root;
  if (::geteuid() == 0) return "/var/lib/lade";
  // An XDG directory must be absolute to count (XDG Base Directory Specification).
  if (auto data = sys::getenv("XDG_DATA_HOME"); data.starts_with('/')) return data + "/lade";
  const std::string home = sys::getenv("HOME");
  if (home.empty()) {
    throw Error("there is no place for lade's state: set --root, LADE_ROOT or HOME",
                ErrorKind::usage);
  }
  return home + "/.local/share/lade";
}

std::unique_ptr<StateDir> StateDir::open(const std::string& root) {
  return with_context(
      [&] { return "state directory " + quoted(root); },
      [&] {
        std::unique_ptr<StateDir> state(new StateDir);
        state->root_ = absolute(root);
        // overlayfs takes them for escapes in what it is told of directories.
        if (state->root_.find('\\') != std::string::npos) {
          throw Error("its path must not have a backslash");
        }
        check_format(state->root_);
        close_state(state->root_);
        static const std::string schema =
            std::string(LayerStore::schema()) + std::string(ImageStore::schema());
        state->database_ = Database::open(state->root_ + "/lade.db", kStateVersion, schema,
                                          [&](Database& database, int64_t stored) {
                                            migrate_state(state->root_, database, stored);
                                          });
        state->content_ = ContentStore::open(state->root_);
        state->layers_ = LayerStore::open(state->root_, *state->database_, *state->content_);
        keep_reserve(state->root_);
        state->images_ = std::make_unique<ImageStore>(*state->database_);
        return state;
      });
}

void StateDir::discard(const std::string& path) {
  const auto dir = sys::try_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return;
  // Locked, it is not swept while it is removed here.
  ::flock(dir->get(), LOCK_EX | LOCK_NB);
  const std::string trash = "layer-gc-" + sys::random_hex(6);
  if (::rename(path.c_str(), (tmp() + "/" + trash).c_str()) != 0) {
    if (errno == ENOENT) return;
    throw_errno("could not remove " + quoted(path));
  }
  const UniqueFd dir_of_trash = sys::open(tmp(), O_RDONLY | O_DIRECTORY);
  with_context([&] { return quoted(path); }, [&] { sys::remove_tree(dir_of_trash.get(), trash); });
}

}  // namespace lade
