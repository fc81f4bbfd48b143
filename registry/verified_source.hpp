// What leaves this machine is checked on its way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {

/// A blob on its way out, from `offset` on. Hashes all of it, and keeps its last piece back until
/// digest and size are known to be right: what a server has not got whole it cannot store.
/// `blob` outlives it. Throws Error(corrupt).
class VerifiedSource : public ByteSource {
 public:
  VerifiedSource(std::unique_ptr<ByteSource> inner, const Descriptor& blob, uint64_t offset,
                 std::function<void(uint64_t)> progress)
      : inner_(std::move(inner)), blob_(blob), progress_(std::move(progress)) {
    char buffer[64 * 1024];
    while (done_ < offset) take(buffer, std::min<uint64_t>(sizeof buffer, offset - done_));
  }

  size_t read(char* buffer, size_t size) override {
    size = std::min<uint64_t>(size, blob_.size - done_);
    if (size == 0) return 0;
    const size_t count = take(buffer, size);
    if (done_ == blob_.size) check_end();
    if (progress_) progress_(done_);
    return count;
  }

 private:
  size_t take(char* buffer, size_t size) {
    const size_t count = inner_->read(buffer, size);
    if (count == 0) wrong(fmt::format("it ends after {} of {} bytes", done_, blob_.size));
    hasher_.update(buffer, count);
    done_ += count;
    return count;
  }

  void check_end() {
    char more = 0;
    if (inner_->read(&more, 1) > 0) wrong(fmt::format("it has more than {} bytes", blob_.size));
    const Digest digest = hasher_.finish();
    if (digest != blob_.digest) wrong("its bytes have the digest " + digest.str());
  }

  [[noreturn]] void wrong(const std::string& what) const {
    throw Error(fmt::format("the blob {} is damaged: {}", blob_.digest.str(), what),
                ErrorKind::corrupt);
  }

  std::unique_ptr<ByteSource> inner_;
  const Descriptor& blob_;
  std::function<void(uint64_t)> progress_;
  Hasher hasher_;
  uint64_t done_ = 0;
};

}  // namespace lade
