#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "snapshotter/content/reference.hpp"

namespace lade {

struct PushOptions {
  /// Repositories that may have the blob; those on the same registry are asked to share it (cross
  /// repository mount), in this order.
  std::vector<Reference> mount_from;
  /// Told how many of the blob's bytes have been sent; falls back when they must be sent again. May
  /// be null. Called on the thread that pushes.
  std::function<void(uint64_t)> progress;
};

/// What pushing a blob took.
enum class BlobPush {
  present,   ///< the repository had it
  mounted,   ///< another repository of the registry had it
  uploaded,  ///< its bytes were sent
};

}  // namespace lade
