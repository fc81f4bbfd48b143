// Image sources: finding base images in the local store, in what registries said before, in a
// registry or in an OCI layout, and keeping what is needed to fetch their layers later.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "registry/client.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/state.hpp"
#include "solver/lower/lower.hpp"

namespace lade {

enum class PullPolicy {
  missing,   ///< ask the registry only for what was never resolved here
  always,    ///< ask it every time
  never,     ///< only what is here
  newer,     ///< ask it what the name means now; what is here will do where it cannot be asked
  current,   ///< the same, but what has the name on this machine is meant by it
  registry,  ///< ask it what the name means now; where it cannot be reached, what it said before or
             ///< what the machine's owner has named so, never what a client has
};

struct ImageSourceOptions {
  PullPolicy pull = PullPolicy::missing;
  /// Nothing is asked of anybody; needing to is an Error.
  bool offline = false;
  std::string client_directory;  ///< what relative oci-layout:// paths are relative to
  RegistryOptions registries{};  ///< how they are reached; `offline` is added to it
  /// Opens what an oci-layout:// names where it is no path of this machine: a manifest or an index,
  /// and who has its blobs. May be empty.
  std::function<std::pair<Descriptor, std::shared_ptr<BlobProvider>>(const std::string& name)>
      open_layout{};
};

/// An image that was resolved: its layers are known (rows in the layer store), maybe not fetched.
struct ResolvedImage {
  LayerStack layers;
  std::shared_ptr<BlobProvider> provider;  ///< where layers that are not here come from
};

/// Thread-safe. Keeps every image it resolved.
class ImageSources : public ImageResolver {
 public:
  ImageSources(StateDir& state, ImageSourceOptions options);
  ~ImageSources() override;

  BaseImage resolve(const std::string& source, const Platform& platform) override;

  /// From now on.
  void set_pull(PullPolicy pull);

  /// Makes what a build gave resolve as `source` ("result://..."), whatever the platform.
  void add_result(const std::string& source, const LayerStack& layers, ImageConfig config);

  /// The blobs of an image that has this name here: those of the content store, and what was left
  /// in the registry it was pushed to. `this` outlives it.
  std::shared_ptr<BlobProvider> blobs_of(const Reference& name);

  /// What resolve() gave the identifier for.
  ResolvedImage resolved(const std::string& identifier) const;
  /// The provider of a layer of any image resolved here; null if none has it.
  std::shared_ptr<BlobProvider> provider_of(LayerId layer) const;
  /// The layer of any image resolved here that has this diff ID.
  std::optional<LayerId> layer_of(const DiffId& diff_id) const;

 private:
  struct Found;  // a manifest with the place its blobs are in
  Found find_image(const Reference& reference, const Platform& platform);
  Found find_local(const Reference& reference, const Platform& platform);
  Found find_remote(const Reference& reference, const Platform& platform);
  Found find_newer(const Reference& reference, const Platform& platform);
  Found find_registered(const Reference& reference, const Platform& platform);
  bool is_here(const Reference& reference) const;
  Descriptor ask(const Reference& reference);
  Found find_layout(const std::string& source, const Platform& platform);
  Found from_manifest_list(const Descriptor& descriptor, const Platform& platform,
                           const std::string& name, const std::shared_ptr<BlobProvider>& blobs);
  BaseImage keep(const std::string& identifier, const std::string& display, const Found& found);
  RegistryClient& client();

  StateDir& state_;
  ImageSourceOptions options_;
  std::atomic<PullPolicy> pull_;
  mutable std::mutex mutex_;  // guards what is below
  std::unique_ptr<RegistryClient> client_;
  std::map<std::string, ResolvedImage> images_;
  std::map<LayerId, std::shared_ptr<BlobProvider>> providers_;
  std::map<DiffId, LayerId> by_diff_id_;
  std::map<std::pair<std::string, std::string>, BaseImage> resolved_;
  std::map<std::string, BaseImage> results_;  // by source
};

/// A small blob from the content store, else from `blobs`; verified and kept. Throws Error(corrupt)
/// for more than `limit` bytes.
std::string fetch_document(ContentStore& content, BlobProvider& blobs, const Descriptor& descriptor,
                           uint64_t limit);

/// The blobs of the content store.

}  // namespace lade
