// What has to be done to a layer before an image can name a blob of it, decided apart from doing
// it: what waits for the network and what computes run on different threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "exporter/exporter.hpp"

namespace lade {

/// Which blob is wanted of a layer.
struct BlobRequest {
  CompressionOptions compression;
  std::optional<Timestamp> clamp;  ///< later file times become this

  /// The name that the blob is recorded under: the encoder's, and what was done to the times.
  std::string encoding() const;
};
/// The request for layers of this build. Throws Error(usage) if times are to be clamped to nothing.
BlobRequest blob_request(const ImageOptions& options);

/// The way from what is here to the blob.
enum class BlobWay {
  use,        ///< the recorded blob `source`
  transcode,  ///< decompress `source`, compress anew
  archive,    ///< tar the directory
};

struct LayerPlan {
  LayerId layer = 0;
  BlobRequest request;
  BlobWay way = BlobWay::use;
  std::optional<DiffId> diff_id;     ///< what the blob must have; absent: not known yet
  std::optional<Descriptor> source;  ///< `use`, `transcode`
  bool fetch_blob = false;           ///< `source` is not in the content store
  bool fetch_directory = false;      ///< `archive`, and the directory is not here
  bool needs_fetch() const { return fetch_blob || fetch_directory; }
};

/// Reads records only. Throws Error(not_found) for a layer of which nothing is left.
LayerPlan plan_layer(StateDir& state, LayerId layer, const BlobRequest& request);

/// What gives a layer's blobs: the caller's provider, or else the content store itself. Never null.
std::shared_ptr<BlobProvider> blob_provider(StateDir& state, LayerId layer,
                                            const LayerProvider& provider);

/// Fetches what the plan needs; waits for the network.
void fetch_for(StateDir& state, const LayerPlan& plan, const LayerProvider& provider);

/// Carries the plan out once everything is here; computes, and records what it made. The descriptor
/// has OCI media types.
MadeBlob carry_out(StateDir& state, const LayerPlan& plan);

/// What is known of the layer without looking at its files: the blob that it came with, or that was
/// made for such requests, or its plain tar, wherever they are.
std::optional<MadeBlob> known_description(StateDir& state, LayerId layer,
                                          const BlobRequest& request);
/// The same, or else the plain tar, which is hashed, not stored, and remembered.
MadeBlob describe_layer(StateDir& state, LayerId layer, const BlobRequest& request);

/// Whether `blob` is such a tar, which nobody has made since.
bool is_only_described(StateDir& state, LayerId layer, const Descriptor& blob);

/// Stores what `write` writes (and does not finish()) as a blob; it belongs to no layer.
MadeBlob make_blob(StateDir& state, const CompressionOptions& compression,
                   const std::function<void(ByteSink&)>& write);

/// A layer's media type in the other family, as BuildKit converts them; unknown ones stay.
std::string layer_media_type(std::string_view type, bool oci);

}  // namespace lade
