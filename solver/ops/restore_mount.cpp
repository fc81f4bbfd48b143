#include "solver/ops/restore_mount.hpp"

#include <fcntl.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "registry/verified_source.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/tar/tar.hpp"

namespace lade {
namespace {

/// Nobody keeps them in a cache, and what they lead to is this machine's.
void refuse_devices(const LayerIndex& index) {
  for (const Entry& entry : index.entries()) {
    if (entry.type == EntryType::char_device || entry.type == EntryType::block_device) {
      throw Error("there is a device in it: " + quoted(entry.path));
    }
  }
}

}  // namespace

void restore_mount(StateDir& state, const CacheMountDirectory& directory, const Descriptor& blob,
                   BlobProvider& provider) {
  with_context("blob " + blob.digest.str(), [&] {
    const PendingLayer pending = state.layers().prepare();
    VerifiedSource source(provider.open(blob), blob, 0, nullptr);
    const auto tar = decompress(source);
    const UniqueFd dir = sys::open(pending.path(), O_RDONLY | O_DIRECTORY);
    const LayerIndex index = extract_tar(*tar, dir.get(), TarDialect::plain);
    refuse_devices(index);
    // What follows the archive's end is verified, too.
    drain(source);
    directory.place(pending.path());
  });
}

}  // namespace lade
