#include "exporter/blob_check.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr uint64_t kCheckBuffer = 256 << 10;

Digest digest_of_file(int fd, uint64_t size) {
  HashSink hash;
  std::vector<char> buffer(std::min(size, kCheckBuffer));
  for (uint64_t at = 0; at < size;) {
    const size_t count = std::min<uint64_t>(buffer.size(), size - at);
    sys::pread_exact(fd, buffer.data(), count, at);
    hash.write({buffer.data(), count});
    at += count;
  }
  return hash.digest();
}

}  // namespace

BlobCheck::BlobCheck(int fd, const Descriptor& blob)
    : blob_(blob),
      // What is short is not worth a thread.
      digest_(std::async(blob.size > kCheckBuffer ? std::launch::async : std::launch::deferred,
                         [fd, size = blob.size] { return digest_of_file(fd, size); })) {}

void BlobCheck::finish() {
  const Digest found = digest_.get();
  if (found == blob_.digest) return;
  Error error(fmt::format("the blob {} is damaged: its bytes are those of {}", blob_.digest.str(),
                          found.str()),
              ErrorKind::corrupt);
  error.set_hint("lade du --verify finds all damage; prune or remove what has it, and build again");
  throw error;
}

}  // namespace lade
