// What is known of layers, and layers in the making.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/temp_dir.hpp"
#include "base/unique_fd.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {

using LayerId = int64_t;
using LayerStack = std::vector<LayerId>;  ///< bottom first

/// What a cache said of a layer (LayerClaim) is not so: the bytes that it names are something else.
class FalseClaim : public Error {
 public:
  explicit FalseClaim(std::string message) : Error(std::move(message), ErrorKind::corrupt) {}
};

/// A layer's bytes could not be had from where they were said to be. If that was somebody's cache,
/// the step that makes the layer can be run again.
class LostLayer : public Error {
 public:
  LostLayer(LayerId layer, const Error& cause)
      : Error(cause),
        layer_(layer),
        was_false_(dynamic_cast<const FalseClaim*>(&cause) != nullptr) {}
  LayerId layer() const { return layer_; }
  /// They are here, but not what the cache said: a FalseClaim.
  bool was_false() const { return was_false_; }

 private:
  LayerId layer_;
  bool was_false_;
};

/// What a shared cache says of a layer that a step made elsewhere. Nobody believes it but builds
/// that read a cache which says just that, and they only until the layer is unpacked and compared:
/// each claim is a layer of its own, whatever else is known of the same diff ID or blob.
struct LayerClaim {
  DiffId diff_id;
  Digest content;   ///< what content keys see of it
  Descriptor blob;  ///< media type, digest and size count
  Digest below;     ///< names what it lies on

  /// Names the claim.
  Digest digest() const;
};

/// What a layer's directory and index are called: its number in base 36.
std::string layer_name(LayerId layer);

/// One compressed (or plain) tar of a layer.
struct LayerBlob {
  std::string encoding;  ///< name of the encoder and its settings: "gzip-isal-2"; "as-pulled" for
                         ///< foreign bytes
  Descriptor descriptor;
};

struct LayerInfo {
  LayerId id = 0;
  std::optional<DiffId> diff_id;  ///< known once tarred, or from the image it came with
  std::optional<Digest>
      content_digest;  ///< what content keys see; for an image's layer: of its diff ID
  bool has_directory = false;
  std::vector<LayerBlob> blobs;  ///< may be remote: ask the content store what is here
  std::optional<Digest> claim;   ///< it is known by the word of a cache only: LayerClaim::digest()
  std::optional<Digest> claimed_content;  ///< what that says of its content
  std::optional<bool> claim_holds;        ///< whether its bytes have that diff ID; once compared

  bool is_unchecked() const { return claim && !claim_holds; }
};

/// What a layer lies on. Needed for a layer whose tar only implies some of its directories.
struct LayersBelow {
  // NOLINTNEXTLINE(google-explicit-constructor): mostly a stack is all there is to say.
  LayersBelow(LayerStack layers = {}) : stack(std::move(layers)) {}
  LayersBelow(LayerStack layers, std::function<void(LayerId)> make_directory)
      : stack(std::move(layers)), make(std::move(make_directory)) {}

  LayerStack stack;                   ///< bottom first
  std::function<void(LayerId)> make;  ///< gives one of them its directory; null: from the same
                                      ///< provider
};

class LayerStore;
struct LayerStoreState;

/// A layer in the making: `path()` is its (empty, 0755 root) directory, the future directory form.
/// Abandoned (and removed) unless committed.
class PendingLayer {
 public:
  std::string path() const { return dir_.path() + "/fs"; }
  std::string work() const { return dir_.path() + "/work"; }  ///< overlay's workdir

 private:
  friend class LayerStore;
  friend struct LayerStoreState;
  UniqueFd lock_;  // an flock on the directory: its owner lives. Outlives dir_
  TempDir dir_;
};

struct LayerStoreOptions {
  std::string boot_id;  ///< empty: the kernel's
  /// How long after a commit the background syncfs starts.
  std::chrono::milliseconds durability_delay{5000};
};

}  // namespace lade
