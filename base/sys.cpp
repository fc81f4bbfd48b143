#include "base/sys.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade {

void UniqueFd::close() {
  if (fd_ >= 0 && ::close(release()) != 0 && errno != EINTR) throw_errno("could not close a file");
}

namespace sys {
namespace {

template <class Call>
auto retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

bool absent(int err) {
  return err == ENOENT || err == ENOTDIR;
}

/// The path of an open file or directory; empty if it has none (a pipe), or /proc is not there.
std::string path_of(int fd) {
  std::array<char, PATH_MAX> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
  if (size <= 0 || text[0] != '/') return "";
  return {text.data(), static_cast<size_t>(size)};
}

/// errno, about an open file. Callers know the file only by its descriptor; whoever reads the
/// message needs its name.
[[noreturn]] void throw_about(const char* what, int fd) {
  const int err = errno;
  const std::string path = path_of(fd);
  throw Error::from_errno(err, path.empty() ? what : std::string(what) + " " + quoted(path));
}

/// errno, about a name in an open directory.
[[noreturn]] void throw_about(const char* what, int dirfd, const std::string& name) {
  const int err = errno;
  const bool relative = !name.starts_with("/") && dirfd != AT_FDCWD;
  const std::string directory = relative ? path_of(dirfd) : "";
  throw Error::from_errno(
      err, std::string(what) + " " + quoted(directory.empty() ? name : directory + "/" + name));
}

}  // namespace

UniqueFd openat(int dirfd, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(retry([&] { return ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode); }));
  if (!fd) throw_about("could not open", dirfd, path);
  return fd;
}

UniqueFd open(const std::string& path, int flags, mode_t mode) {
  return openat(AT_FDCWD, path, flags, mode);
}

std::optional<UniqueFd> try_openat(int dirfd, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(retry([&] { return ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode); }));
  if (fd) return fd;
  if (absent(errno)) return std::nullopt;
  throw_about("could not open", dirfd, path);
}

std::optional<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(
      retry([&] { return syscall(SYS_openat2, root, path.c_str(), &how, sizeof how); })));
  if (fd) return fd;
  if (absent(errno)) return std::nullopt;
  throw_errno("could not open " + quoted(path) + " in the root filesystem");
}

size_t read_some(int fd, char* buffer, size_t size) {
  const ssize_t count = retry([&] { return ::read(fd, buffer, size); });
  if (count < 0) throw_about("could not read", fd);
  return static_cast<size_t>(count);
}

void pread_exact(int fd, char* buffer, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t count =
        retry([&] { return ::pread(fd, buffer, size, static_cast<off_t>(offset)); });
    if (count < 0) throw_about("could not read", fd);
    if (count == 0) throw Error("file ended early", ErrorKind::corrupt);
    buffer += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<size_t>(count);
  }
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (count < 0) throw_about("could not write", fd);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

Pipe pipe(int extra_flags) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC | extra_flags) != 0) throw_errno("could not make a pipe");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::optional<struct stat> lstatat(int dirfd, const std::string& path) {
  struct stat info{};
  if (::fstatat(dirfd, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return info;
  if (absent(errno)) return std::nullopt;
  throw_about("could not stat", dirfd, path);
}

struct stat fstat(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) throw_about("could not stat", fd);
  return info;
}

void mkdirat(int dirfd, const std::string& path, mode_t mode) {
  if (::mkdirat(dirfd, path.c_str(), mode) != 0) {
    throw_about("could not make directory", dirfd, path);
  }
}

void make_dirs(const std::string& path, mode_t mode) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string prefix = path.substr(0, end);
    if (::mkdir(prefix.c_str(), mode) != 0 && errno != EEXIST) {
      throw_errno("could not make directory " + quoted(prefix));
    }
    if (end == std::string::npos) break;
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    throw Error(quoted(path) + " is not a directory");
  }
}

void renameat(int from_dir, const std::string& from, int to_dir, const std::string& to) {
  if (::renameat(from_dir, from.c_str(), to_dir, to.c_str()) != 0) {
    throw_errno("could not rename " + quoted(from) + " to " + quoted(to));
  }
}

void unlinkat(int dirfd, const std::string& path, int flags) {
  if (::unlinkat(dirfd, path.c_str(), flags) != 0) throw_about("could not remove", dirfd, path);
}

std::vector<std::string> list_dir(int dirfd) {
  // A descriptor of our own: fdopendir takes it over, and its offset starts at 0.
  UniqueFd copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY);
  DIR* dir = ::fdopendir(copy.get());
  if (!dir) throw_about("could not list", dirfd);
  copy.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (!entry && errno == EINTR) continue;
    if (!entry) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int err = errno;
  ::closedir(dir);
  if (err != 0) {
    errno = err;
    throw_about("could not list", dirfd);
  }
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t copy_data(int from, int to, uint64_t size) {
  if (size > 0 && ::ioctl(to, FICLONE, from) == 0) {
    ::lseek(to, 0, SEEK_END);
    return size;
  }
  uint64_t total = 0;
  bool in_kernel = true;
  std::vector<char> buffer;
  while (total < size) {
    if (in_kernel) {
      const ssize_t count =
          ::copy_file_range(from, nullptr, to, nullptr, static_cast<size_t>(size - total), 0);
      if (count > 0) {
        total += static_cast<uint64_t>(count);
        continue;
      }
      if (count == 0) break;
      if (errno == EINTR) continue;
      if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
        throw_about("could not copy to", to);
      }
      in_kernel = false;
      buffer.resize(128 * 1024);
    }
    const size_t count =
        read_some(from, buffer.data(), std::min<uint64_t>(buffer.size(), size - total));
    if (count == 0) break;
    write_all(to, {buffer.data(), count});
    total += count;
  }
  return total;
}

namespace {

template <class List, class Get>
std::vector<Xattr> read_xattrs(List list, Get get) {
  std::string names(512, '\0');
  for (;;) {
    const ssize_t size = list(names.data(), names.size());
    if (size >= 0) {
      names.resize(static_cast<size_t>(size));
      break;
    }
    if (errno == ENOTSUP || errno == EPERM) return {};
    if (errno != ERANGE) throw_errno("could not list extended attributes");
    names.resize(names.size() * 4);
  }
  std::vector<Xattr> out;
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = names.find('\0', begin);
    std::string name = names.substr(begin, end - begin);
    begin = end == std::string::npos ? names.size() : end + 1;
    std::string value(256, '\0');
    ssize_t size = 0;
    while ((size = get(name.c_str(), value.data(), value.size())) < 0 && errno == ERANGE) {
      value.resize(value.size() * 4);
    }
    if (size < 0) {
      if (errno == ENODATA) continue;
      throw_errno("could not read extended attribute " + quoted(name));
    }
    value.resize(static_cast<size_t>(size));
    out.push_back({std::move(name), std::move(value)});
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<Xattr> list_xattrs(int fd) {
  return read_xattrs([&](char* buffer, size_t size) { return ::flistxattr(fd, buffer, size); },
                     [&](const char* name, char* buffer, size_t size) {
                       return ::fgetxattr(fd, name, buffer, size);
                     });
}

std::vector<Xattr> list_xattrs_of(const std::string& proc_path) {
  return read_xattrs(
      [&](char* buffer, size_t size) { return ::llistxattr(proc_path.c_str(), buffer, size); },
      [&](const char* name, char* buffer, size_t size) {
        return ::lgetxattr(proc_path.c_str(), name, buffer, size);
      });
}

std::optional<std::string> read_file_at(int dirfd, const std::string& path, uint64_t limit) {
  auto fd = try_openat(dirfd, path, O_RDONLY);
  if (!fd) return std::nullopt;
  std::string out;
  char buffer[16384];
  const auto read = [&] {
    return with_context([&] { return quoted(path); },
                        [&] { return read_some(fd->get(), buffer, sizeof buffer); });
  };
  while (const size_t count = read()) {
    if (out.size() + count > limit) {
      throw Error(fmt::format("{} is larger than {} bytes", quoted(path), limit));
    }
    out.append(buffer, count);
  }
  return out;
}

std::optional<std::string> read_file(const std::string& path, uint64_t limit) {
  return read_file_at(AT_FDCWD, path, limit);
}

void write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string temporary = path + ".tmp-" + random_hex(6);
  try {
    UniqueFd fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    write_all(fd.get(), bytes);
    fd.close();
    renameat(AT_FDCWD, temporary, AT_FDCWD, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string current_directory() {
  char* path =
      ::getcwd(nullptr, 0);  // NOLINT(clang-analyzer-unix.StdCLibraryFunctions): glibc allocates
  if (!path) throw_errno("could not find the working directory");
  std::string out = path;
  ::free(path);
  return out;
}

std::string getenv(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0');
  if (::getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(bytes)) {
    throw_errno("could not get random bytes");
  }
  std::string out;
  for (char c : raw) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

}  // namespace sys
}  // namespace lade
