// Images from archives: what `docker save`, `podman save`, `skopeo copy` and `lade save` write.
//
//   docker archives    manifest.json with paths of configs and layers, also the old layout
//                      (ID/layer.tar, symlinks between them)
//   OCI archives       a tar of an OCI layout (image-spec: image-layout.md)
//   OCI layouts        the same as a directory
//
// It is here and not in exporter/ because it needs the content store and libarchive alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/stream.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/images/image_store.hpp"

namespace lade {

/// An image that was brought in.
struct LoadedImage {
  Descriptor target;
  std::vector<std::string> names;  ///< Reference::str(); empty: the store keeps it as unnamed
};

/// Reads a tar, plain or compressed, in one pass: blobs go to the content store as they come, what
/// describes them is kept (at most 64 MiB). Names the images in the image store. The bytes are
/// untrusted: paths never leave the archive, digests and sizes are those that they should be, every
/// image has its config and layers. Throws Error and names nothing if anything is wrong; what was
/// stored by then goes with the next garbage collection.
std::vector<LoadedImage> load_image_archive(ImageStore& images, ContentStore& content,
                                            std::unique_ptr<ByteSource> archive);

/// The same for an OCI layout directory.
std::vector<LoadedImage> load_image_layout(ImageStore& images, ContentStore& content,
                                           const std::string& directory);

}  // namespace lade
