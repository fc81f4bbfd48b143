// A copy of a file that somebody is writing to, so that what is hashed is what is copied.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/unique_fd.hpp"

namespace lade {

/// Goes with this object: the copy has no name.
class FrozenFile {
 public:
  /// Copies the first `size` bytes of `fd` to the filesystem of `directory`; nullopt if there are
  /// fewer. Throws Error.
  static std::optional<FrozenFile> take(int fd, uint64_t size, const std::string& directory);

  UniqueFd open() const;  ///< for reading, from the start
  uint64_t size() const { return size_; }
  const Digest& digest() const { return digest_; }

 private:
  FrozenFile(UniqueFd fd, uint64_t size, const Digest& digest)
      : fd_(std::move(fd)), size_(size), digest_(digest) {}

  UniqueFd fd_;
  uint64_t size_;
  Digest digest_;
};

}  // namespace lade
