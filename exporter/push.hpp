// An image to a registry: its blobs, several at a time, then its manifests, the one that names it
// last, so that nobody sees an image that is not whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "registry/client.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/state.hpp"

namespace lade {

struct PushRequest {
  /// "docker.io/library/app:1"; one after another, so that a later repository can mount what an
  /// earlier one has got.
  std::vector<std::string> names;
  bool by_digest = false;  ///< under its digest alone; the names' tags are left out
  /// Gives a blob that is not in the content store; may be empty, and may return null.
  std::function<std::shared_ptr<BlobProvider>(const Descriptor&)> provider;
  /// Repositories that may have the blob; may be empty.
  std::function<std::vector<Reference>(const Descriptor&)> sources;
  /// Told of each transfer and of each phase, from several threads: what, bytes so far, bytes in
  /// all (0: it has no size). May be empty.
  std::function<void(std::string_view item, uint64_t done, uint64_t total)> progress;
};

/// What it took, over all names.
struct PushSummary {
  size_t present = 0;
  size_t mounted = 0;
  size_t uploaded = 0;
  uint64_t uploaded_bytes = 0;
};

/// "3 blobs pushed (1.20 MB), 2 mounted, 4 there already".
std::string to_string(const PushSummary& summary);

/// The documents of an image: its manifests, children before their index. All in the content store.
struct ImageDocuments {
  std::vector<Descriptor> manifests;  ///< the last is the image itself
  std::vector<Descriptor> blobs;      ///< configs and layers, each once
};

/// Throws Error(not_found) for a manifest that is not in the content store. Layers that registries
/// do not take (those with URLs) are left out.
ImageDocuments read_documents(StateDir& state, const Descriptor& target);

/// Pushes the image whose manifest or index is `target`. Throws Error naming repository, host and
/// blob.
PushSummary push_image(StateDir& state, RegistryClient& client, const Descriptor& target,
                       const PushRequest& request);

}  // namespace lade
