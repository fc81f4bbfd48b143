// One thin wrapper per system call: O_CLOEXEC always, EINTR retried, errors as Error.
//
// Paths inside a root filesystem are only ever opened through open_in_root() or relative to a
// directory descriptor with O_NOFOLLOW.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace lade::sys {

/// open(2) with O_CLOEXEC added. The message of the Error names the path.
UniqueFd open(const std::string& path, int flags, mode_t mode = 0);
UniqueFd openat(int dirfd, const std::string& path, int flags, mode_t mode = 0);
/// nullopt for ENOENT/ENOTDIR, Error for the rest.
std::optional<UniqueFd> try_openat(int dirfd, const std::string& path, int flags, mode_t mode = 0);
/// openat2(2) with RESOLVE_IN_ROOT: `path` cannot leave the tree of `root`, symlinks resolve in it.
/// nullopt for ENOENT/ENOTDIR.
std::optional<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

size_t read_some(int fd, char* buffer, size_t size);
/// Reads exactly `size` bytes at `offset` or throws.
void pread_exact(int fd, char* buffer, size_t size, uint64_t offset);
void write_all(int fd, std::string_view bytes);

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};
Pipe pipe(int extra_flags = 0);

/// lstat-like; nullopt when there is nothing of that name.
std::optional<struct stat> lstatat(int dirfd, const std::string& path);
struct stat fstat(int fd);

void mkdirat(int dirfd, const std::string& path, mode_t mode);
/// mkdir -p for host paths of our own (state directory, output folders).
void make_dirs(const std::string& path, mode_t mode = 0755);
void renameat(int from_dir, const std::string& from, int to_dir, const std::string& to);
void unlinkat(int dirfd, const std::string& path, int flags = 0);
/// Names in a directory, without "." and "..", sorted.
std::vector<std::string> list_dir(int dirfd);

/// Copies `size` bytes from `from` to `to` at their current offsets: reflink if it can, else
/// copy_file_range, else read/write. Returns what was copied (less if `from` ended early).
uint64_t copy_data(int from, int to, uint64_t size);

struct Xattr {
  std::string name;
  std::string value;
  auto operator<=>(const Xattr&) const = default;
};
/// Extended attributes sorted by name; empty where the filesystem has none.
std::vector<Xattr> list_xattrs(int fd);
/// The same by path without following a final symlink (`proc_path` e.g. "/proc/self/fd/5/name").
std::vector<Xattr> list_xattrs_of(const std::string& proc_path);

/// Reads a whole small file; nullopt if missing; more than `limit` bytes is an Error.
std::optional<std::string> read_file(const std::string& path, uint64_t limit = 64u << 20);
std::optional<std::string> read_file_at(int dirfd, const std::string& path,
                                        uint64_t limit = 64u << 20);
/// Writes beside `path` and renames over it, so readers see the old or the new bytes only.
void write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode = 0644);

std::string current_directory();
bool is_directory(const std::string& path);  ///< or a link to one

/// A variable's value; empty if it is not set.
std::string getenv(const char* name);

/// Hex of `bytes` random bytes (getrandom).
std::string random_hex(size_t bytes);

}  // namespace lade::sys
