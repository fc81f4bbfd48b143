// Layers on this machine, in up to three forms each made when somebody needs it: blob(s),
// directory, index.
//
//   STATE/layers/<id in base 36>/   the directory form: an overlay-ready tree, immutable once it is
//   here STATE/index/<id in base 36>     the serialized LayerIndex STATE/blobs/sha256/ the blobs
//   (content store) STATE/tmp/                      layers in the making lade.db: layers,
//   layer_blobs    what is known of each
//
// A **ref** (a result) is a stack of LayerIds, bottom first. A layer is committed by renaming its
// directory into place and adding its row last, so what has a row is complete. Thread-safe, and
// safe beside other lade processes on the same state directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/database.hpp"
#include "base/mount.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/layers/layer.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {

class MountBar;
struct LayerStoreState;

class LayerStore {
 public:
  /// `root` is the state directory. Drops, after another boot, the layers whose bytes may not have
  /// reached the disk (rows of an older boot not marked durable). What dead processes left in tmp/
  /// is swept when the first layer is made. `root` must be absolute; `database` and `content`
  /// outlive the store.
  static std::unique_ptr<LayerStore> open(const std::string& root, Database& database,
                                          ContentStore& content,
                                          const LayerStoreOptions& options = {});
  /// The tables that `database` must have (idempotent SQL).
  static std::string_view schema();
  ~LayerStore();

  // -- making layers
  PendingLayer prepare();
  /// Commits a directory that the caller has filled, described by `index` (which must be exact).
  /// `shares_files`: some are links of another layer's.
  LayerId commit(PendingLayer layer, LayerIndex index, bool shares_files = false);
  /// Commits the upperdir of a finished step, unmounted: scans it, drops what is no change against
  /// the stack it ran on (unchanged copy-ups; directories that differ in mtime alone and hold no
  /// change; whiteouts of what was not there), commits the rest. A step that changed nothing gives
  /// an empty layer (it still is one in the image, as in BuildKit).
  LayerId commit_upper(PendingLayer layer, const LayerStack& lower);
  /// A layer of an image: known by diff ID and the blob that holds it, not fetched. Returns the
  /// layer that is here already if both are known to go together: of another blob it would be
  /// somebody's word only that it is the same layer.
  LayerId add_known(const DiffId& diff_id, const Descriptor& blob);
  /// A layer that a step made elsewhere, by the word of a cache. If the blob was made here, of a
  /// layer of that content, it is that layer.
  LayerId add_claimed(const LayerClaim& claim);
  /// add_known() of all layers of an image, bottom first. An Error(corrupt) that names `image` if
  /// its manifest and its config disagree about how many there are.
  LayerStack add_image(const std::string& image, const std::vector<DiffId>& diff_ids,
                       const std::vector<Descriptor>& blobs);
  /// The layer that add_known() would return, if there is one.
  std::optional<LayerId> find(const DiffId& diff_id, const Digest& blob) const;
  /// Any layer of that diff ID that no cache's word is needed for.
  std::optional<LayerId> find(const DiffId& diff_id) const;

  // -- forms
  /// Makes the directory form (and the index) if it is missing: fetch, verify digest and size and
  /// diff ID, decompress, extract, as one stream; the blob is kept in the content store. One that
  /// is there already is read, and removed if it is damaged. Concurrent calls (other threads, other
  /// processes) do it once. Blocks on I/O: call it on a thread that may wait. `progress(bytes so
  /// far, bytes in all)` may be null.
  /// `below` is the stack the layer lies on: directories that its tar implies but does not list
  /// look as they do there (0755 0:0 if they are in none).
  /// Of a claimed layer the content is compared, too. Throws FalseClaim if a blob that is what its
  /// digest says is not what the claim says, and remembers that.
  void ensure_directory(LayerId layer, BlobProvider& provider,
                        const std::function<void(uint64_t, uint64_t)>& progress = nullptr,
                        const LayersBelow& below = {});
  /// Only a layer's blob, into the content store (for exports that pass it through). The diff ID is
  /// verified on the way; of a claimed layer whose blob is here, too, once. Throws as
  /// ensure_directory().
  void ensure_layer_blob(LayerId layer, const Descriptor& blob, BlobProvider& provider,
                         const std::function<void(uint64_t, uint64_t)>& progress = nullptr);
  /// The same of something that is not a layer: only its digest is verified.
  void ensure_blob(const Descriptor& blob, BlobProvider& provider,
                   const std::function<void(uint64_t, uint64_t)>& progress = nullptr);
  bool has_directory(LayerId layer) const;
  /// The layers of `stack` that have no directory form, bottom first.
  LayerStack without_directory(const LayerStack& stack) const;
  std::string directory(LayerId layer) const;  ///< absolute path

  /// The index; needs the directory form or a stored index. Regular files may not be hashed yet.
  std::shared_ptr<const LayerIndex> index(LayerId layer);
  /// The same with every file hashed (in parallel, on oneTBB; stored for the next time).
  std::shared_ptr<const LayerIndex> hashed_index(LayerId layer);
  MergedIndex merged(const LayerStack& stack, bool hashed = false);

  /// What content keys use for this layer; hashes it if it must. Of a claimed layer that is not
  /// unpacked it is what the claim says.
  Digest content_digest(LayerId layer);
  /// Whether that is more than a claim.
  bool knows_content(LayerId layer) const;
  /// The claim that a layer is known by; nullopt for those that need none.
  std::optional<Digest> claim_of(LayerId layer) const;
  /// All claims that were found to be false here.
  std::vector<Digest> false_claims() const;
  std::optional<LayerInfo> info(LayerId layer) const;
  /// Whether all rows (and claimed directories) are there. From then on, until this object goes,
  /// no garbage collection of any process takes the layers away (snapshotter/layers/pins.hpp); so
  /// it is for layers that are made or added here.
  bool exists(const LayerStack& stack) const;

  // -- garbage collection (snapshotter/gc/gc.hpp)
  /// The layers serve a build now. Remembered in memory until write_use().
  void note_used(const LayerStack& stack);
  /// Records the time of what was noted, at most once an hour for each layer: a build that is all
  /// cached seldom writes anything.
  void write_use();
  /// From now on only what was noted as used is kept from being removed: the build has its result,
  /// and what it compared that with may go.
  void release_unused();
  /// When the work began that others (processes, or open stores of this one) are at for the
  /// longest; milliseconds since 1970. A file that is younger may be about to be named by them.
  std::optional<int64_t> oldest_other_start() const;

  /// Compares the layer's directory with its index, entry by entry and byte by byte. What differs,
  /// a line each (at most a few); empty if all is well or the layer has no directory.
  std::vector<std::string> verify(LayerId layer) const;

  /// What content_digest() of a layer that verify() found no fault with should be; nullopt if it
  /// is.
  std::optional<Digest> wrong_content(LayerId layer);
  void mend_content(LayerId layer, const Digest& content);

  /// Opens a regular file found in a merged view of `stack` for reading.
  UniqueFd open_file(const LayerStack& stack, const Found& found) const;
  /// The same for one layer's own index.
  UniqueFd open_entry(LayerId layer, const Entry& entry) const;

  // -- exports
  void record_diff_id(LayerId layer, const DiffId& diff_id);
  void record_blob(LayerId layer, const LayerBlob& blob);
  /// Whether some layer has this blob among its forms.
  bool knows_blob(const Digest& digest) const;

  // -- files that layers share (layer_sharing.cpp)
  // A step sees how many links a file has, so a layer that is mounted must share files with none.
  // Those that may are remembered (shared_layers), and given files of their own before a mount.
  /// While the result lives, hard links of the layer's files may be made in others, and nobody can
  /// mount it. Null if somebody has, or may have.
  std::unique_ptr<MountBar> lend(LayerId layer);
  /// From now on, until this object goes, the layers share files with no others, and can be
  /// mounted. This may have to wait for others, and to copy files; without `wait` it returns false
  /// then, and may have done a part. All must have their directories.
  bool keep_private(const LayerStack& stack, bool wait);

  // -- mounting
  /// The root mount of a step: `stack` below, `upper`'s directory on top (null: read-only). Extra
  /// lowers (absolute paths, top-most first) go between the two: a step's mount stubs. Every layer
  /// needs its directory form. Gives `upper`'s root the owner and mode of the root that the stack
  /// brings. A stack too deep for the kernel has its bottom copied into one layer (once, kept for
  /// the next time).
  Mount overlay(const LayerStack& stack, const PendingLayer* upper,
                const std::vector<std::string>& stubs = {});

 private:
  explicit LayerStore(std::unique_ptr<LayerStoreState> state);
  LayerId insert_known(const DiffId& diff_id, const Digest& content);
  std::shared_ptr<const LayerIndex> load_index(LayerId layer);
  class Unpacking;
  bool check_stored_blob(const LayerInfo& layer, const Descriptor& blob);
  void keep_directory(const LayerInfo& layer, const PendingLayer& pending, LayerIndex index);
  void record_claim(LayerId layer, bool holds);
  LayerId flatten(const LayerStack& bottom);
  void make_private(LayerId layer);
  LayerId add_or_find(const DiffId& diff_id, const Descriptor& blob);
  LayerId add_or_find(const LayerClaim& claim);
  std::optional<LayerId> find_claimed(const Digest& claim) const;
  std::optional<LayerId> find_made(const LayerClaim& claim) const;

  std::unique_ptr<LayerStoreState> state_;
};

}  // namespace lade
