// From a ref and an image config to what people asked for: an OCI layout, an OCI or Docker tarball,
// a local directory, a root filesystem tar.
//
// The way of an image: write_image() makes what is missing of its blobs in the content store (tar
// -> diff ID
// -> compress -> digest, one pass), then config and manifest; export_oci() and export_docker() only
// copy blobs from there. Files are written under a temporary name and renamed at the end, so a
// failure leaves what was there before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "snapshotter/content/image_config.hpp"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/state.hpp"
#include "solver/graph/record.hpp"

namespace lade {

enum class LayerCompression { uncompressed, gzip, zstd };

/// How layers become blobs. Part of a blob's identity in the layer store (encoding name).
struct CompressionOptions {
  LayerCompression type = LayerCompression::gzip;
  std::optional<int> level;
  /// Also re-encode layers that came with a blob of another type (base layers). Their tar, and with
  /// it their diff ID, stays.
  bool force = false;
};

/// Gives the blob of a layer that is known but not here (base images, imported cache); may be
/// empty, and may return null for layers whose blobs are all here. Called from several threads.
using LayerProvider = std::function<std::shared_ptr<BlobProvider>(LayerId)>;

/// Something that is said of what is exported, in a predicate of in-toto's.
struct Attestation {
  std::string predicate_type;  ///< "https://slsa.dev/provenance/v1"
  std::string predicate;       ///< JSON
  std::string subjects{};      ///< a JSON list; empty: what it is exported with
};

struct WrittenImage;

/// What is to be said of one image or tree.
struct AttestationRequest {
  /// Called once the blobs are there; `image` is null for outputs that have none.
  std::function<Attestation(const WrittenImage* image)> make;
  std::string file_name;  ///< in outputs that are a tree: "provenance.json"
  /// Only in images that are kept here or pushed, and where there is an index anyway.
  bool inline_only = false;
};

/// One image to be written: what the solver produced for one platform.
struct ImageSource {
  LayerStack layers;  ///< bottom first
  /// How many of `layers`, from the bottom, are the base image's: rewrite_timestamp leaves them
  /// alone.
  size_t base_layers = 0;
  /// diff_ids are filled in by the writer. History comes complete; entries without `created` are
  /// this build's and get the epoch, or the present time.
  ImageConfig config;
  LayerProvider provider;
  /// What the config is to say of the steps that made the image (--cache-to type=inline).
  std::optional<std::vector<SharedRecord>> inline_cache{};
  std::vector<AttestationRequest> attestations{};
};

struct ImageOptions {
  CompressionOptions compression;
  bool oci_media_types = true;  ///< false: Docker schema 2
  /// `created` of this build's history entries and, unless it is older, of the config.
  std::optional<Timestamp> source_date_epoch;
  /// Clamp file times of this build's layers to the epoch (which must be given).
  bool rewrite_timestamp = false;
  std::map<std::string, std::string> annotations;  ///< of the manifest
  /// Blobs of the base image that are used as they are need not be here: for outputs that may find
  /// them where they go.
  bool leave_remote = false;
  /// No blobs are made or fetched: layers of this build are described by their plain tars, which
  /// are hashed only. For images that nobody has a name for yet (complete_image()).
  bool lazy = false;
};

/// The descriptors of an image whose blobs are all in the content store (but for those that
/// ImageOptions::leave_remote or `lazy` left).
struct WrittenImage {
  Descriptor manifest;  ///< with the image's platform
  Descriptor config;
  std::vector<Descriptor> layers;
  ImageConfig parsed_config;
  std::optional<size_t> inline_cache{};  ///< how many steps the config's inline cache knows
};

/// What an output names: one image, or an index over one image per platform.
struct WrittenSet {
  std::vector<WrittenImage> images;
  Descriptor target;            ///< what names and index.json refer to: the manifest or the index
  std::optional<Digest> index;  ///< of the index's document in the content store, if there is one
  std::vector<Descriptor> attestations{};       ///< manifests that the index has besides images
  std::vector<Descriptor> attestation_blobs{};  ///< what those refer to

  /// A single image stands for itself.
  WrittenSet(WrittenImage image)  // NOLINT(google-explicit-constructor): it is one
      : images{std::move(image)}, target(images.front().manifest) {}
  WrittenSet() = default;
};

/// Stores an index over the images, in their order (image-spec: image-index.md). `annotations` are
/// the index's own; those on the images' manifest descriptors are kept. `attestations` come after
/// the images.
WrittenSet write_index(StateDir& state, std::vector<WrittenImage> images, bool oci_media_types,
                       const std::map<std::string, std::string>& annotations = {},
                       std::vector<Descriptor> attestations = {});

struct MadeBlob {
  DiffId diff_id;  ///< of this blob: not the layer's own if its times were clamped
  Descriptor descriptor;
};

/// Makes the blob of one layer of this build unless it exists; records diff ID and blob. A layer
/// that came with a blob keeps that (unless `force`, or its times are to be clamped); the blob is
/// fetched if it is not here. Thread-safe: the solver calls it for finished layers while later
/// steps run. Computes on the calling thread and on oneTBB; waits for the network if `provider`
/// does, so call it on oneTBB only for layers that are here.
MadeBlob make_layer_blob(StateDir& state, LayerId layer, const ImageOptions& options,
                         const LayerProvider& provider);

/// What write_image() with these options would do to this layer: make_layer_blob(), or hash it.
void prepare_layer(StateDir& state, LayerId layer, const ImageOptions& options,
                   const LayerProvider& provider);

/// Makes what is missing, all layers side by side, and stores config and manifest.
WrittenImage write_image(StateDir& state, const ImageSource& source, const ImageOptions& options);

/// Makes the blobs that ImageOptions::lazy left out of an image, and stores a manifest that names
/// them, whose config, and with it the image's ID, is the same. Returns what is to be named in its
/// place: `target` itself if nothing was left out, or it is an index, whose images are whole.
/// Throws Error for layers that are gone.
Descriptor complete_image(StateDir& state, const Descriptor& target);

/// Throws what an export to this path would throw for the path's sake: the parent directory is
/// missing, it may not be written, `dest` is a directory. For the command line to call before it
/// builds. "-" passes.
void check_output_file(const std::string& dest);
/// The same for a directory that an export fills (missing ones are made, with their parents).
void check_output_directory(const std::string& dest);

struct OciOutput {
  std::string dest;                ///< "-" is standard output for tars
  bool tar = true;                 ///< false: an OCI layout directory (an existing one is added to)
  std::vector<std::string> names;  ///< org.opencontainers.image.ref.name / io.containerd.image.name
};
void export_oci(StateDir& state, const WrittenSet& image, const OciOutput& output);

struct DockerOutput {
  std::string dest;                ///< "-" is standard output
  std::vector<std::string> names;  ///< RepoTags
};
/// `docker load`'s format: manifest.json and (as BuildKit's) an OCI layout in the same tar. Throws
/// Error(usage) for more than one image, which the format cannot hold.
void export_docker(StateDir& state, const WrittenSet& image, const DockerOutput& output);

/// An image of the content store with its names, for an archive of several.
struct ArchivedImage {
  WrittenSet image;
  std::vector<std::string> names;
  /// What its index lists besides images, and is to come along (attestations).
  std::vector<Descriptor> others;
};
/// `docker save` of several images: one tar as export_docker() makes it. Of an index manifest.json
/// names the image for this machine, the layout has all.
void export_docker_archive(StateDir& state, const std::vector<ArchivedImage>& images,
                           const std::string& dest);
/// One OCI layout with several images, as a tar or a directory (which is added to).
void export_oci_archive(StateDir& state, const std::vector<ArchivedImage>& images,
                        const std::string& dest, bool tar);

/// What is exported of several images into one tree.
struct NamedSource {
  std::string directory;  ///< where its files go, one path component; empty: to the top
  const ImageSource* source;
};

/// The flattened file tree into a directory, as BuildKit's `type=local`: everything belongs to the
/// user who runs lade, nothing else that is there is deleted, files are replaced one by one, and
/// with an epoch every time is set to it. No symlink in `dest` is followed.
void export_local(StateDir& state, const ImageSource& source, const std::string& dest,
                  std::optional<Timestamp> epoch = {});
/// The same of several trees (BuildKit: below directories like "linux_amd64"). Of those that go to
/// the top, a path that two have and that is no directory is an Error.
void export_local(StateDir& state, const std::vector<NamedSource>& sources, const std::string& dest,
                  std::optional<Timestamp> epoch = {});

/// The flattened file tree as one tar (BuildKit's `type=tar`): owners as in the image. "-" is
/// standard output. With an epoch every time is set to it.
void export_rootfs_tar(StateDir& state, const ImageSource& source, const std::string& dest,
                       std::optional<Timestamp> epoch = {});
/// The same of several trees, as above.
void export_rootfs_tar(StateDir& state, const std::vector<NamedSource>& sources,
                       const std::string& dest, std::optional<Timestamp> epoch = {});

}  // namespace lade
