#include "exporter/output_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "exporter/exporter.hpp"

namespace lade {
namespace {

constexpr size_t kBuffer = size_t{256} << 10;

std::optional<struct stat> stat_following(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) return info;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("could not look at " + quoted(path));
}

// `dest` with a symlink at its end resolved, so that the rename replaces the file and not the link.
std::string resolve(const std::string& dest) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(dest.c_str(), nullptr), std::free);
  return real ? real.get() : dest;
}

// True if `dest` is to be written in place.
bool check_file(const std::string& dest) {
  if (dest.empty()) throw Error("the output needs a path (dest=...)", ErrorKind::usage);
  if (dest.back() == '/') throw Error("the output " + quoted(dest) + " names a directory");
  if (const auto info = stat_following(dest)) {
    if (S_ISDIR(info->st_mode)) {
      Error error("the output " + quoted(dest) + " is a directory");
      error.set_hint("give the name of a file in it");
      throw error;
    }
    if (!S_ISREG(info->st_mode)) return true;
  }
  const std::string parent = dir_name(resolve(dest));
  const auto info = stat_following(parent);
  if (!info) {
    throw Error(
        "the directory " + quoted(parent) + " for the output " + quoted(dest) + " does not exist",
        ErrorKind::not_found);
  }
  if (!S_ISDIR(info->st_mode)) throw Error(quoted(parent) + " is not a directory");
  if (::access(parent.c_str(), W_OK | X_OK) != 0) {
    throw_errno("cannot write the output " + quoted(dest));
  }
  return false;
}

}  // namespace

void check_output_file(const std::string& dest) {
  if (dest != "-") check_file(dest);
}

void check_output_directory(const std::string& dest) {
  if (dest.empty()) throw Error("the output needs a path (dest=...)", ErrorKind::usage);
  std::string nearest = dest;
  auto info = stat_following(nearest);
  while (!info) {
    const std::string parent = dir_name(nearest);
    if (parent == nearest) break;
    nearest = parent;
    info = stat_following(nearest);
  }
  if (!info || !S_ISDIR(info->st_mode)) {
    throw Error("cannot write the output " + quoted(dest) + ": " + quoted(nearest) +
                " is not a directory");
  }
  if (::access(nearest.c_str(), W_OK | X_OK) != 0) {
    throw_errno("cannot write the output " + quoted(dest));
  }
}

OutputFile OutputFile::create(const std::string& dest) {
  OutputFile file;
  file.buffer_.reserve(kBuffer);
  if (dest == "-") {
    file.dest_ = "standard output";
    file.fd_ = STDOUT_FILENO;
    return file;
  }
  const bool in_place = check_file(dest);
  file.dest_ = in_place ? dest : resolve(dest);
  if (in_place) {
    file.owned_ = sys::open(dest, O_WRONLY);
  } else {
    std::string temporary = file.dest_ + ".tmp-" + sys::random_hex(6);
    file.at_risk_.emplace(temporary);
    file.owned_ = sys::open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
    file.temporary_ = std::move(temporary);
  }
  file.fd_ = file.owned_.get();
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : dest_(std::move(other.dest_)),
      temporary_(std::exchange(other.temporary_, {})),
      at_risk_(std::move(other.at_risk_)),
      owned_(std::move(other.owned_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::flush() {
  with_context([&] { return "could not write " + quoted(dest_); },
               [&] { sys::write_all(fd_, buffer_); });
  buffer_.clear();
}

void OutputFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBuffer) flush();
  if (bytes.size() < kBuffer) {
    buffer_ += bytes;
    return;
  }
  with_context([&] { return "could not write " + quoted(dest_); },
               [&] { sys::write_all(fd_, bytes); });
}

// Not sys::copy_data(): a reflink replaces a file from its start, and here something stands before.
void OutputFile::copy_from(int from, uint64_t size) {
  flush();
  bool in_kernel = !temporary_.empty();
  std::vector<char> chunk(in_kernel ? 0 : kBuffer);
  for (uint64_t left = size; left > 0;) {
    if (in_kernel) {
      const ssize_t count = ::copy_file_range(from, nullptr, fd_, nullptr, left, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) {
        throw_errno("could not write " + quoted(dest_));
      }
      if (count > 0) {
        left -= static_cast<uint64_t>(count);
        continue;
      }
      // Across filesystems, or the kernel says "nothing" for some: read and write decide.
      in_kernel = false;
      chunk = std::vector<char>(kBuffer);
    }
    const size_t count = sys::read_some(from, chunk.data(), std::min<uint64_t>(left, kBuffer));
    if (count == 0) throw Error("a blob for " + quoted(dest_) + " ends early", ErrorKind::corrupt);
    with_context([&] { return "could not write " + quoted(dest_); },
                 [&] { sys::write_all(fd_, {chunk.data(), count}); });
    left -= count;
  }
}

void OutputFile::commit() {
  flush();
  if (temporary_.empty()) {
    if (owned_) owned_.close();
    return;
  }
  owned_.close();
  sys::renameat(AT_FDCWD, temporary_, AT_FDCWD, dest_);
  temporary_.clear();
}

}  // namespace lade
