#include "base/stream.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {

void FdSink::write(std::string_view bytes) {
  sys::write_all(fd_, bytes);
}

size_t FdSource::read(char* buffer, size_t size) {
  return sys::read_some(fd_, buffer, size);
}

size_t StringSource::read(char* buffer, size_t size) {
  const size_t count = std::min(size, text_.size() - offset_);
  std::memcpy(buffer, text_.data() + offset_, count);
  offset_ += count;
  return count;
}

void HashSink::write(std::string_view bytes) {
  hasher_.update(bytes);
  size_ += bytes.size();
  if (next_) next_->write(bytes);
}

size_t HashSource::read(char* buffer, size_t size) {
  const size_t count = inner_.read(buffer, size);
  hasher_.update(buffer, count);
  size_ += count;
  return count;
}

uint64_t copy_stream(ByteSource& source, ByteSink& sink) {
  std::vector<char> buffer(128 * 1024);
  uint64_t total = 0;
  while (const size_t count = source.read(buffer.data(), buffer.size())) {
    sink.write({buffer.data(), count});
    total += count;
  }
  return total;
}

void drain(ByteSource& source) {
  std::vector<char> buffer(64 * 1024);
  while (source.read(buffer.data(), buffer.size()) > 0) {
  }
}

std::string read_start(ByteSource& source, size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const size_t count = source.read(bytes.data() + have, size - have);
    if (count == 0) break;
    have += count;
  }
  bytes.resize(have);
  return bytes;
}

std::string read_all(ByteSource& source, uint64_t limit, std::string_view what) {
  std::string out;
  std::vector<char> buffer(64 * 1024);
  while (const size_t count = source.read(buffer.data(), buffer.size())) {
    if (out.size() + count > limit) {
      throw Error(fmt::format("{} is larger than {} bytes", what, limit));
    }
    out.append(buffer.data(), count);
  }
  return out;
}

}  // namespace lade
