// Noticing damaged blobs on their way out of the content store.
//
// A blob's bytes go from file to file in the kernel, past lade, which keeps copies as fast as the
// disk. So another thread reads them once more, out of the page cache, while they are copied.
#pragma once

#include <future>

#include "snapshotter/content/descriptor.hpp"

namespace lade {

class BlobCheck {
 public:
  /// Begins to hash `fd`, which must stay open while this lives; its offset is not touched.
  BlobCheck(int fd, const Descriptor& blob);
  /// Waits for the end. Throws Error(corrupt) if the bytes are not those of the blob.
  void finish();

 private:
  Descriptor blob_;
  std::future<Digest> digest_;
};

}  // namespace lade
