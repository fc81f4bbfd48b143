// Images as the content store holds them: what a name leads to, read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/images/image_store.hpp"
#include "snapshotter/layers/layer_store.hpp"

namespace lade {

/// One platform's image whose manifest and config are in the content store.
struct StoredManifest {
  Descriptor descriptor;  ///< as the index lists it, or the name's target
  Manifest manifest;
  ImageConfig config;
};

/// What one manifest or index is called, and what is in it.
struct StoredImage {
  std::vector<ImageName> names;  ///< at least one
  Descriptor target;
  std::optional<Index> index;
  /// Of an index: those that are here, its order; attestations are left out.
  std::vector<StoredManifest> manifests;

  /// As docker: the digest of the config; of an index its own.
  Digest id() const;
  /// The one for `platform`, or the first if none is; null if nothing is here.
  const StoredManifest* for_platform(const Platform& platform) const;
};

/// The name of an image that has none ("<none>@sha256:..."), by which the store still keeps it.
std::string unnamed_image(const Digest& target);
bool is_unnamed(const std::string& name);

/// Reads the image that `target` is. Blobs that are missing or damaged are left out.
StoredImage read_stored_image(ContentStore& content, const Descriptor& target);

/// All images, one per target, each with all its names; newest first. `with_resolved` adds base
/// images that builds found in registries: they have no name here, and are listed by the one that
/// they were asked for.
std::vector<StoredImage> list_stored_images(ImageStore& images, ContentStore& content,
                                            bool with_resolved = false);

/// The image that somebody calls NAME[:TAG], NAME@DIGEST, an ID or the unique start of one
/// ("sha256:" may stand before it). Images that have no name here, but that a registry gave to a
/// build, are found after all others, by the name that they were asked for. Error(not_found) if
/// there is none or several.
StoredImage find_stored_image(ImageStore& images, ContentStore& content, const std::string& text);

/// The name among `image.names` that `text` is, if it was called by name and not by ID or digest.
std::optional<std::string> name_called(const StoredImage& image, const std::string& text);

/// Forgets the names, also what a registry said that they are. What of the image no other name
/// needs, and no cached layer, is removed from the content store. True if the image is gone.
bool remove_image_names(ImageStore& images, ContentStore& content, LayerStore& layers,
                        const StoredImage& image, const std::vector<std::string>& names);

/// Calls `visit` for the digest of each blob of an image: index, manifests, configs, layers, and
/// what an index lists besides images. Blobs that are not here are visited where they are known.
void visit_image_blobs(ContentStore& content, const Descriptor& target,
                       const std::function<void(const Descriptor&)>& visit);

}  // namespace lade
