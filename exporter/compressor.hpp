#pragma once

#include <cstdint>

#include "base/digest.hpp"
#include "base/stream.hpp"

namespace lade {

/// A sink that compresses. finish() writes what is left and the format's end, and then finishes the
/// sink below.
class Compressor : public ByteSink {
 public:
  /// The digest of what was written, computed beside the compression. After finish().
  virtual DiffId diff_id() const = 0;
  virtual uint64_t uncompressed_size() const = 0;
};

}  // namespace lade
