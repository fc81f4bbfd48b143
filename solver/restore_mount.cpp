#include "solver/restore_mount.hpp"

#include <fcntl.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "registry/verified_source.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/tar.hpp"

namespace lade {
void restore_mount(StateDir& state, const CacheMountDirectory& directory, const Descriptor& blob,
                   BlobProvider& provider) {
  with_context("blob " + blob.digest.str(), [&] {
    const PendingLayer pending = state.layers().prepare();
    VerifiedSource source(provider.open(blob), blob, 0, nullptr);
    const auto tar = decompress(source);
    const UniqueFd dir = sys::open(pending.path(), O_RDONLY | O_DIRECTORY);
    extract_tar(*tar, dir.get(), TarDialect::plain);
    // What follows the archive's end is verified, too.
    drain(source);
    directory.place(pending.path());
  });
}

}  // namespace lade
