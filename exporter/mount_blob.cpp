#include "exporter/mount_blob.hpp"

#include <thread>

#include <fcntl.h>

#include "base/sys.hpp"
#include "exporter/layer_blob.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/dir_scan.hpp"
#include "snapshotter/tree/open_beneath.hpp"

namespace lade {

std::optional<UniqueFd> lock_mount(const CacheMountDirectory& directory,
                                   std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kPoll{50};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    auto lock = directory.try_lock(false);
    if (lock || std::chrono::steady_clock::now() >= deadline) return lock;
    std::this_thread::sleep_for(kPoll);
  }
}

Descriptor make_mount_blob(StateDir& state, const CacheMountDirectory& directory,
                           const CompressionOptions& compression) {
  const UniqueFd dir = sys::open(directory.path(), O_RDONLY | O_DIRECTORY);
  std::vector<Entry> entries = LayerIndex(scan_tree(dir.get(), false)).entries();
  std::erase_if(entries, [](const Entry& entry) {
    return entry.type == EntryType::whiteout || entry.type == EntryType::char_device ||
           entry.type == EntryType::block_device;
  });
  const auto open = [&](const Entry& entry) {
    return open_beneath(dir.get(), entry.path, O_RDONLY | O_NONBLOCK);
  };
  return make_blob(state, compression, [&](ByteSink& out) { write_rootfs_tar(entries, open, out); })
      .descriptor;
}

}  // namespace lade
