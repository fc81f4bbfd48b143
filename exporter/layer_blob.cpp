#include "exporter/layer_blob.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <tuple>

#include <fmt/format.h>

#include "base/error.hpp"
#include "exporter/compressors.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/tar/tar.hpp"

namespace lade {
namespace {

// The name of a blob that came with an image or an imported cache: bytes of somebody else's
// encoder.
constexpr std::string_view kForeign = "as-pulled";

const CompressionOptions kPlain{.type = LayerCompression::uncompressed, .level = {}};

struct LayerType {
  std::string_view oci;
  std::string_view docker;
  LayerCompression compression;
};

// Docker's zstd type is containerd's invention; the non-distributable ones live on in Windows
// images.
constexpr std::array kLayerTypes = {
    LayerType{media_type::kOciLayer, media_type::kDockerLayer, LayerCompression::uncompressed},
    LayerType{media_type::kOciLayerGzip, media_type::kDockerLayerGzip, LayerCompression::gzip},
    LayerType{media_type::kOciLayerZstd, "application/vnd.docker.image.rootfs.diff.tar.zstd",
              LayerCompression::zstd},
    LayerType{"application/vnd.oci.image.layer.nondistributable.v1.tar",
              "application/vnd.docker.image.rootfs.foreign.diff.tar",
              LayerCompression::uncompressed},
    LayerType{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
              "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LayerCompression::gzip},
};

const LayerType* find_layer_type(std::string_view type) {
  const auto at = std::find_if(kLayerTypes.begin(), kLayerTypes.end(), [&](const LayerType& known) {
    return known.oci == type || known.docker == type;
  });
  return at == kLayerTypes.end() ? nullptr : &*at;
}

std::string_view oci_type_of(LayerCompression compression) {
  for (const LayerType& type : kLayerTypes) {
    if (type.compression == compression) return type.oci;
  }
  return media_type::kOciLayer;
}

// Blobs with clamped times have a diff ID of their own. It is kept with the blob, under the
// annotation that containerd uses for it, and never becomes the layer's.
constexpr char kDiffIdAnnotation[] = "containerd.io/uncompressed";

std::optional<DiffId> annotated_diff_id(const Descriptor& blob) {
  const auto at = blob.annotations.find(kDiffIdAnnotation);
  if (at == blob.annotations.end()) return std::nullopt;
  return DiffId{Digest::parse(at->second)};
}

// The recorded blob that is exactly what is wanted, if its bytes are here.
bool use_recorded(const ContentStore& content, const LayerInfo& info, LayerPlan& plan) {
  for (const LayerBlob& blob : info.blobs) {
    if (blob.encoding != plan.request.encoding()) continue;
    const auto diff_id = plan.request.clamp ? annotated_diff_id(blob.descriptor) : info.diff_id;
    if (!diff_id || content.size(blob.descriptor.digest) != blob.descriptor.size) continue;
    plan.way = BlobWay::use;
    plan.source = blob.descriptor;
    plan.diff_id = diff_id;
    return true;
  }
  return false;
}

MadeBlob transcode(StateDir& state, const LayerPlan& plan) {
  auto fd = state.content().open_blob(plan.source->digest);
  if (!fd) {
    throw Error("the blob " + plan.source->digest.str() + " is gone", ErrorKind::not_found);
  }
  const auto tar = decompress(std::make_unique<FdSource>(std::move(*fd)));
  MadeBlob made =
      make_blob(state, plan.request.compression, [&](ByteSink& out) { copy_stream(*tar, out); });
  if (plan.diff_id && made.diff_id != *plan.diff_id) {
    throw Error(
        fmt::format("the blob {} has the diff ID {} instead of {}", plan.source->digest.str(),
                    made.diff_id.digest.str(), plan.diff_id->digest.str()),
        ErrorKind::corrupt);
  }
  return made;
}

void write_tar(StateDir& state, LayerId layer, const TarOptions& options, ByteSink& out) {
  LayerStore& layers = state.layers();
  const auto index = layers.index(layer);
  const auto open = [&](const Entry& entry) { return layers.open_entry(layer, entry); };
  write_layer_tar(*index, open, out, options);
}

MadeBlob archive(StateDir& state, const LayerPlan& plan) {
  const TarOptions options{.clamp_mtime = plan.request.clamp};
  return make_blob(state, plan.request.compression,
                   [&](ByteSink& out) { write_tar(state, plan.layer, options, out); });
}

/// Takes what is only to be hashed on its way.
class Discard : public ByteSink {
 public:
  void write(std::string_view /*bytes*/) override {}
};

// Two threads that want the same blob (the solver's eager one and the image's writer) make it once:
// the second waits here and then finds it recorded. Nobody who holds such a lock runs foreign
// oneTBB tasks.
std::shared_ptr<std::mutex> making(const StateDir& state, const LayerPlan& plan) {
  using Key = std::tuple<std::string, LayerId, std::string>;
  static std::mutex guard;
  static std::map<Key, std::weak_ptr<std::mutex>> locks;
  const std::lock_guard lock(guard);
  std::erase_if(locks, [](const auto& known) { return known.second.expired(); });
  auto& slot = locks[Key(state.root(), plan.layer, plan.request.encoding())];
  auto mine = slot.lock();
  if (!mine) slot = mine = std::make_shared<std::mutex>();
  return mine;
}

MadeBlob used(const LayerPlan& plan) {
  if (!plan.diff_id) {
    throw Error(fmt::format("the diff ID of layer {} is not known", plan.layer));
  }
  MadeBlob blob{*plan.diff_id, *plan.source};
  blob.descriptor.media_type = layer_media_type(blob.descriptor.media_type, true);
  blob.descriptor.annotations.erase(kDiffIdAnnotation);
  return blob;
}

}  // namespace

std::string BlobRequest::encoding() const {
  std::string name = encoding_name(compression);
  if (clamp) name += fmt::format("+clamp-{}.{:09}", clamp->seconds, clamp->nanoseconds);
  return name;
}

BlobRequest blob_request(const ImageOptions& options) {
  BlobRequest request{.compression = options.compression, .clamp = {}};
  encoding_name(request.compression);  // refuses levels that do not exist
  if (!options.rewrite_timestamp) return request;
  if (!options.source_date_epoch) {
    Error error("rewrite-timestamp needs a time to rewrite to", ErrorKind::usage);
    error.set_hint("set SOURCE_DATE_EPOCH, in the environment or as a build argument");
    throw error;
  }
  request.clamp = options.source_date_epoch;
  return request;
}

LayerPlan plan_layer(StateDir& state, LayerId layer, const BlobRequest& request) {
  const auto info = state.layers().info(layer);
  if (!info) throw Error(fmt::format("there is no layer {}", layer), ErrorKind::not_found);
  const ContentStore& content = state.content();
  LayerPlan plan{.layer = layer, .request = request, .diff_id = {}, .source = {}};
  if (use_recorded(content, *info, plan)) return plan;

  const auto foreign =
      std::find_if(info->blobs.begin(), info->blobs.end(),
                   [](const LayerBlob& blob) { return blob.encoding == kForeign; });
  const bool has_foreign = foreign != info->blobs.end();
  if (has_foreign && !request.clamp) {
    const LayerType* type = find_layer_type(foreign->descriptor.media_type);
    const bool as_wanted = type != nullptr && type->compression == request.compression.type;
    plan.way = request.compression.force && !as_wanted ? BlobWay::transcode : BlobWay::use;
    plan.source = foreign->descriptor;
    plan.diff_id = info->diff_id;
    // What is here by a cache's word is compared with that.
    plan.fetch_blob =
        info->is_unchecked() || content.size(plan.source->digest) != plan.source->size;
    return plan;
  }

  plan.way = BlobWay::archive;
  if (info->has_directory) return plan;
  const auto here =
      std::find_if(info->blobs.begin(), info->blobs.end(), [&](const LayerBlob& blob) {
        return !annotated_diff_id(blob.descriptor) &&
               content.size(blob.descriptor.digest) == blob.descriptor.size;
      });
  if (!request.clamp && here != info->blobs.end()) {
    plan.way = BlobWay::transcode;
    plan.source = here->descriptor;
    plan.diff_id = info->diff_id;
    return plan;
  }
  if (!has_foreign && here == info->blobs.end()) {
    throw Error(fmt::format("neither files nor a blob are left of layer {}", layer),
                ErrorKind::not_found);
  }
  plan.fetch_directory = true;
  return plan;
}

std::shared_ptr<BlobProvider> blob_provider(StateDir& state, LayerId layer,
                                            const LayerProvider& provider) {
  std::shared_ptr<BlobProvider> blobs = provider ? provider(layer) : nullptr;
  if (!blobs) blobs = local_blobs(state.content());
  return blobs;
}

void fetch_for(StateDir& state, const LayerPlan& plan, const LayerProvider& provider) {
  const auto blobs = blob_provider(state, plan.layer, provider);
  try {
    if (plan.fetch_directory) state.layers().ensure_directory(plan.layer, *blobs);
    if (plan.fetch_blob) state.layers().ensure_layer_blob(plan.layer, *plan.source, *blobs);
  } catch (const Error& error) {
    throw LostLayer(plan.layer, error);
  }
}

MadeBlob carry_out(StateDir& state, const LayerPlan& plan) {
  if (plan.way == BlobWay::use) return used(plan);
  const auto mutex = making(state, plan);
  const std::lock_guard lock(*mutex);
  LayerPlan again = plan;
  const auto info = state.layers().info(plan.layer);
  if (info && use_recorded(state.content(), *info, again)) return used(again);

  MadeBlob made = plan.way == BlobWay::transcode ? transcode(state, plan) : archive(state, plan);
  Descriptor recorded = made.descriptor;
  if (plan.request.clamp) {
    recorded.annotations[kDiffIdAnnotation] = made.diff_id.digest.str();
  } else {
    state.layers().record_diff_id(plan.layer, made.diff_id);
  }
  state.layers().record_blob(plan.layer, {plan.request.encoding(), std::move(recorded)});
  return made;
}

std::optional<MadeBlob> known_description(StateDir& state, LayerId layer,
                                          const BlobRequest& request) {
  const auto info = state.layers().info(layer);
  if (!info || !info->diff_id || info->blobs.empty()) return std::nullopt;
  const auto with_encoding = [&](std::string_view encoding) {
    return std::find_if(info->blobs.begin(), info->blobs.end(),
                        [&](const LayerBlob& blob) { return blob.encoding == encoding; });
  };
  // What came with the layer, what an image would take, and else the plain tar.
  for (const auto& encoding : {std::string(kForeign), request.encoding(), encoding_name(kPlain)}) {
    const auto found = with_encoding(encoding);
    if (found == info->blobs.end()) continue;
    MadeBlob out{*info->diff_id, found->descriptor};
    out.descriptor.media_type = layer_media_type(out.descriptor.media_type, true);
    return out;
  }
  return std::nullopt;
}

MadeBlob describe_layer(StateDir& state, LayerId layer, const BlobRequest& request) {
  if (auto known = known_description(state, layer, request)) return *known;
  Discard nothing;
  const auto hashed = make_compressor(kPlain, nothing);
  write_tar(state, layer, {}, *hashed);
  hashed->finish();
  MadeBlob out{hashed->diff_id(), {}};
  out.descriptor.media_type = media_type::kOciLayer;
  out.descriptor.digest = out.diff_id.digest;
  out.descriptor.size = hashed->uncompressed_size();
  state.layers().record_diff_id(layer, out.diff_id);
  state.layers().record_blob(layer, {encoding_name(kPlain), out.descriptor});
  return out;
}

bool is_only_described(StateDir& state, LayerId layer, const Descriptor& blob) {
  const auto info = state.layers().info(layer);
  if (!info || state.content().has(blob.digest)) return false;
  return std::any_of(info->blobs.begin(), info->blobs.end(), [&](const LayerBlob& known) {
    return known.encoding == encoding_name(kPlain) && known.descriptor.digest == blob.digest;
  });
}

MadeBlob make_blob(StateDir& state, const CompressionOptions& compression,
                   const std::function<void(ByteSink&)>& write) {
  const auto ingest = state.content().ingest();
  const auto compressor = make_compressor(compression, *ingest);
  write(*compressor);
  compressor->finish();
  MadeBlob made{compressor->diff_id(), ingest->commit()};
  made.descriptor.media_type = oci_type_of(compression.type);
  return made;
}

std::string layer_media_type(std::string_view type, bool oci) {
  const LayerType* known = find_layer_type(type);
  if (known == nullptr) return std::string(type);
  return std::string(oci ? known->oci : known->docker);
}

}  // namespace lade
