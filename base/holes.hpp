// Holes of sparse files (lseek(2), SEEK_DATA and SEEK_HOLE).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/digest.hpp"

namespace lade {

/// Tells who reads a file from its start to its end what need not be read.
class Holes {
 public:
  /// Of an open file, borrowed. One without holes costs no more than an fstat(2).
  explicit Holes(int fd);

  /// How many bytes of a hole begin at `offset`, which is where the descriptor stands; it stands
  /// behind them afterwards. 0: there are none, or the kernel does not know. Of a file that
  /// somebody writes to meanwhile, what was true at some time. Throws Error.
  uint64_t skip(uint64_t offset);
  /// How much of `wanted` may be read at `offset`, which is in no hole, without going into the
  /// next.
  size_t limit(uint64_t offset, size_t wanted) const;

 private:
  int fd_;
  bool any_;
  uint64_t data_end_ = 0;  // no hole before this
};

/// Hashes the zeros that a hole reads as.
void hash_hole(Hasher& hasher, uint64_t size);

struct CopiedFile {
  uint64_t size = 0;
  Digest content;
};

/// Hashes what is left of `from`, which stands at its start. `count`, if given, is told of how many
/// bytes more each time, holes included. Throws Error.
CopiedFile hash_with_holes(int from, const std::function<void(uint64_t)>& count = {});

/// Copies `from`, which stands at its start, to the empty file `to`: where one has a hole, the
/// other has it, too. Throws Error.
CopiedFile copy_with_holes(int from, int to);

}  // namespace lade
