// export_local(): a merged tree into a directory of the user's.
//
// What is in `dest` already is not to be trusted (an earlier export, a symlink planted by a build):
// every step down is an openat(O_NOFOLLOW) of one component, files appear by rename, and nothing is
// ever opened through a name that could have become a symlink.
//
//   1. directories, parents first, one at a time
//   2. files of each directory, directories side by side on oneTBB
//   3. further names of hard-linked files
//   4. owners, modes and times of directories, children first (writing into one changes its time)
#include <array>
#include <cerrno>
#include <unordered_map>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "exporter/exporter.hpp"
#include "exporter/joined_trees.hpp"

namespace lade {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Walks down from `root`, no symlink followed.
UniqueFd open_directory(int root, std::string_view path) {
  UniqueFd at = sys::openat(root, ".", kOpenDirectory);
  if (path.empty()) return at;
  for (const std::string& name : split(path, '/')) at = sys::openat(at.get(), name, kOpenDirectory);
  return at;
}

class LocalWriter {
 public:
  LocalWriter(const JoinedTrees& tree, UniqueFd root) : tree_(tree), root_(std::move(root)) {}

  void run() {
    make_directories();
    parallel_for(0, groups_.size(), [&](size_t i) { fill(groups_[i]); });
    for (const Entry* link : links_) make_link(*link);
    for (auto dir = directories_.rbegin(); dir != directories_.rend(); ++dir) {
      with_context([&] { return quoted((*dir)->path); },
                   [&] { set_attributes(open_directory(root_.get(), (*dir)->path).get(), **dir); });
    }
  }

 private:
  // What one directory directly holds, apart from directories.
  struct Group {
    std::string dir;
    std::vector<const Entry*> entries;
  };

  void make_directories() {
    std::unordered_map<std::string, size_t> group_of;
    for (const Entry& entry : tree_.entries()) {
      if (entry.type == EntryType::directory) {
        with_context([&] { return quoted(entry.path); }, [&] { make_directory(entry); });
        directories_.push_back(&entry);
        continue;
      }
      if (entry.hardlink_group != 0 &&
          !first_of_group_.try_emplace(entry.hardlink_group, &entry).second) {
        links_.push_back(&entry);
        continue;
      }
      const std::string dir(parent_of(entry.path));
      const auto [at, is_new] = group_of.try_emplace(dir, groups_.size());
      if (is_new) groups_.push_back({dir, {}});
      groups_[at->second].entries.push_back(&entry);
    }
  }

  void make_directory(const Entry& entry) {
    const UniqueFd parent = open_directory(root_.get(), parent_of(entry.path));
    const std::string name = base_name(entry.path);
    const auto present = sys::lstatat(parent.get(), name);
    if (present && S_ISDIR(present->st_mode)) return;
    if (present) sys::unlinkat(parent.get(), name);
    sys::mkdirat(parent.get(), name, 0700);
  }

  void fill(const Group& group) {
    const UniqueFd dir = with_context([&] { return quoted(group.dir); },
                                      [&] { return open_directory(root_.get(), group.dir); });
    for (const Entry* entry : group.entries) {
      with_context([&] { return quoted(entry->path); }, [&] { make_entry(dir.get(), *entry); });
    }
  }

  // Makes it under a temporary name, complete, and renames it over what is there.
  void make_entry(int dir, const Entry& entry) {
    replace(dir, base_name(entry.path), [&](const std::string& temporary) {
      switch (entry.type) {
        case EntryType::regular:
          return write_file(dir, temporary, entry);
        case EntryType::symlink:
          if (::symlinkat(entry.link_target.c_str(), dir, temporary.c_str()) != 0) {
            throw_errno("could not make the symlink");
          }
          break;
        default:
          make_node(dir, temporary, entry);
          break;
      }
      set_attributes_of(dir, temporary, entry);
    });
  }

  void make_link(const Entry& entry) {
    const Entry& first = *first_of_group_.at(entry.hardlink_group);
    const UniqueFd from = open_directory(root_.get(), parent_of(first.path));
    const UniqueFd to = open_directory(root_.get(), parent_of(entry.path));
    replace(to.get(), base_name(entry.path), [&](const std::string& temporary) {
      if (::linkat(from.get(), base_name(first.path).c_str(), to.get(), temporary.c_str(), 0) !=
          0) {
        throw_errno("could not link " + quoted(entry.path) + " to " + quoted(first.path));
      }
    });
  }

  template <class Make>
  static void replace(int dir, const std::string& name, Make make) {
    const std::string temporary = ".lade-" + sys::random_hex(8);
    try {
      make(temporary);
      const auto present = sys::lstatat(dir, name);
      if (present && S_ISDIR(present->st_mode)) sys::remove_tree(dir, name);
      sys::renameat(dir, temporary, dir, name);
    } catch (...) {
      ::unlinkat(dir, temporary.c_str(), 0);
      throw;
    }
    // Renaming over another name of the same file does nothing, and leaves the temporary.
    ::unlinkat(dir, temporary.c_str(), 0);
  }

  void write_file(int dir, const std::string& name, const Entry& entry) {
    const UniqueFd to = sys::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (entry.size > 0) copy_sparse(tree_.open(entry).get(), to.get(), entry.size);
    set_attributes(to.get(), entry);
  }

  // Holes stay holes; without them, one copy in the kernel.
  static void copy_sparse(int from, int to, uint64_t size) {
    constexpr uint64_t kStatBlock = 512;
    if (static_cast<uint64_t>(sys::fstat(from).st_blocks) * kStatBlock >= size) {
      if (sys::copy_data(from, to, size) != size) throw Error("the layer's file ends early");
      return;
    }
    off_t at = 0;
    for (;;) {
      const off_t begin = ::lseek(from, at, SEEK_DATA);
      if (begin < 0 && errno == ENXIO) break;  // a hole up to the end
      if (begin < 0) throw_errno("could not find the file's data");
      at = ::lseek(from, begin, SEEK_HOLE);
      if (at < 0 || ::lseek(from, begin, SEEK_SET) < 0 || ::lseek(to, begin, SEEK_SET) < 0) {
        throw_errno("could not find the file's holes");
      }
      copy_extent(from, to, static_cast<uint64_t>(at - begin));
    }
    if (::ftruncate(to, static_cast<off_t>(size)) != 0) throw_errno("could not set the size");
  }

  // Not sys::copy_data(): a reflink would be of the whole file.
  static void copy_extent(int from, int to, uint64_t size) {
    std::array<char, 128 * 1024> chunk;
    while (size > 0) {
      const size_t count =
          sys::read_some(from, chunk.data(), std::min<uint64_t>(size, chunk.size()));
      if (count == 0) throw Error("the layer's file ends early");
      sys::write_all(to, {chunk.data(), count});
      size -= count;
    }
  }

  static void make_node(int dir, const std::string& name, const Entry& entry) {
    mode_t type = S_IFIFO;
    if (entry.type == EntryType::char_device) type = S_IFCHR;
    if (entry.type == EntryType::block_device) type = S_IFBLK;
    if (entry.type == EntryType::socket) type = S_IFSOCK;
    const dev_t device = makedev(entry.dev_major, entry.dev_minor);
    if (::mknodat(dir, name.c_str(), type | 0600, device) != 0) {
      throw_errno("could not make the device, pipe or socket");
    }
  }

  // The owner is whoever runs lade, which is who made it; but a set-gid directory gives another
  // group.
  static void set_attributes(int fd, const Entry& entry) {
    if (::fchown(fd, ::geteuid(), ::getegid()) != 0) throw_errno("could not set the owner");
    for (const sys::Xattr& xattr : entry.xattrs) {
      check_xattr(::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0),
                  xattr.name);
    }
    if (::fchmod(fd, entry.mode) != 0) throw_errno("could not set the mode");
    const std::array times = times_of(entry);
    if (::futimens(fd, times.data()) != 0) throw_errno("could not set the time");
  }

  // For what cannot be opened (symlinks) or must not be (devices, pipes).
  static void set_attributes_of(int dir, const std::string& name, const Entry& entry) {
    if (::fchownat(dir, name.c_str(), ::geteuid(), ::getegid(), AT_SYMLINK_NOFOLLOW) != 0) {
      throw_errno("could not set the owner");
    }
    const std::string path = "/proc/self/fd/" + std::to_string(dir) + "/" + name;
    for (const sys::Xattr& xattr : entry.xattrs) {
      check_xattr(
          ::lsetxattr(path.c_str(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0),
          xattr.name);
    }
    if (entry.type != EntryType::symlink && ::fchmodat(dir, name.c_str(), entry.mode, 0) != 0) {
      throw_errno("could not set the mode");
    }
    const std::array times = times_of(entry);
    if (::utimensat(dir, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      throw_errno("could not set the time");
    }
  }

  // Filesystems without xattrs, and users who may not set trusted ones, still get their files.
  static void check_xattr(int status, const std::string& name) {
    if (status == 0 || errno == ENOTSUP || errno == EPERM) return;
    throw_errno("could not set the attribute " + quoted(name));
  }

  static std::array<timespec, 2> times_of(const Entry& entry) {
    const timespec time{entry.mtime_sec, static_cast<long>(entry.mtime_nsec)};
    return {time, time};
  }

  const JoinedTrees& tree_;
  const UniqueFd root_;
  std::vector<const Entry*> directories_;
  std::vector<Group> groups_;
  std::vector<const Entry*> links_;  // all but the first name of each hard-linked file
  std::unordered_map<uint32_t, const Entry*> first_of_group_;
};

}  // namespace

void export_local(StateDir& state, const ImageSource& source, const std::string& dest,
                  std::optional<Timestamp> epoch) {
  export_local(state, std::vector<NamedSource>{{"", &source}}, dest, epoch);
}

void export_local(StateDir& state, const std::vector<NamedSource>& sources, const std::string& dest,
                  std::optional<Timestamp> epoch) {
  check_output_directory(dest);
  const JoinedTrees tree(state, sources, epoch, Timestamp::now());
  sys::make_dirs(dest);
  with_context([&] { return "could not export to " + quoted(dest); },
               [&] { LocalWriter(tree, sys::open(dest, O_RDONLY | O_DIRECTORY)).run(); });
}

}  // namespace lade
