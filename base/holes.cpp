#include "base/holes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr uint64_t hole_piece = uint64_t{16} << 20;
constexpr uint64_t block_size = 512;  // st_blocks is in these, whatever the filesystem's are

uint64_t checked_offset(off_t offset) {
  if (offset < 0) throw_errno("could not seek");
  return static_cast<uint64_t>(offset);
}

/// `take` gets what lies between holes, and its offset; `count` the size of that and of holes.
template <class Take, class Count>
CopiedFile read_all_of(int from, Take take, Count count) {
  Holes holes(from);
  Hasher hasher;
  CopiedFile out;
  thread_local std::vector<char> buffer(128 * 1024);
  for (;;) {
    if (const uint64_t hole = holes.skip(out.size); hole > 0) {
      // In pieces, since hashing a large one takes time that `count` is to see pass.
      for (uint64_t left = hole; left > 0;) {
        const uint64_t piece = std::min(left, hole_piece);
        hash_hole(hasher, piece);
        count(piece);
        left -= piece;
      }
      out.size += hole;
      continue;
    }
    const size_t got = sys::read_some(from, buffer.data(), holes.limit(out.size, buffer.size()));
    if (got == 0) break;
    hasher.update(buffer.data(), got);
    take({buffer.data(), got}, out.size);
    out.size += got;
    count(uint64_t{got});
  }
  out.content = hasher.finish();
  return out;
}

}  // namespace

Holes::Holes(int fd) : fd_(fd) {
  // Filesystems that compress have fewer blocks, too: there lseek(2) is asked in vain.
  const struct stat info = sys::fstat(fd);
  any_ = S_ISREG(info.st_mode) &&
         static_cast<uint64_t>(info.st_blocks) * block_size < static_cast<uint64_t>(info.st_size);
}

uint64_t Holes::skip(uint64_t offset) {
  if (!any_ || offset < data_end_) return 0;
  const auto from = static_cast<off_t>(offset);
  const off_t data = ::lseek(fd_, from, SEEK_DATA);
  if (data > from) return static_cast<uint64_t>(data) - offset;
  if (data < 0) {
    const auto size = static_cast<uint64_t>(sys::fstat(fd_).st_size);
    if (errno == ENXIO && size > offset) {  // no data up to the end
      return checked_offset(::lseek(fd_, static_cast<off_t>(size), SEEK_SET)) - offset;
    }
    any_ = false;
  } else {
    const off_t end = ::lseek(fd_, from, SEEK_HOLE);
    any_ = end > from;
    if (any_) data_end_ = static_cast<uint64_t>(end);
  }
  checked_offset(::lseek(fd_, from, SEEK_SET));
  return 0;
}

size_t Holes::limit(uint64_t offset, size_t wanted) const {
  return any_ && offset < data_end_ ? std::min<uint64_t>(wanted, data_end_ - offset) : wanted;
}

void hash_hole(Hasher& hasher, uint64_t size) {
  static constexpr std::array<char, 64 * 1024> zeros = {};
  while (size > 0) {
    const uint64_t count = std::min<uint64_t>(size, zeros.size());
    hasher.update(zeros.data(), count);
    size -= count;
  }
}

CopiedFile hash_with_holes(int from, const std::function<void(uint64_t)>& count) {
  const auto nothing = [](std::string_view, uint64_t) {};
  return read_all_of(from, nothing, [&](uint64_t bytes) {
    if (count) count(bytes);
  });
}

CopiedFile copy_with_holes(int from, int to) {
  uint64_t written = 0;
  const auto write = [&](std::string_view bytes, uint64_t offset) {
    if (offset != written) checked_offset(::lseek(to, static_cast<off_t>(offset), SEEK_SET));
    sys::write_all(to, bytes);
    written = offset + bytes.size();
  };
  const CopiedFile out = read_all_of(from, write, [](uint64_t) {});
  if (written < out.size && ::ftruncate(to, static_cast<off_t>(out.size)) != 0) {
    throw_errno("could not set a file's size");
  }
  return out;
}

}  // namespace lade
