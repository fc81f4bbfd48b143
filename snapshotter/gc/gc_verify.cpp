#include "snapshotter/gc/gc_verify.hpp"

#include <map>
#include <mutex>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "base/stream.hpp"
#include "base/sys.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/content/descriptor_row.hpp"
#include "snapshotter/gc/gc_inventory.hpp"
#include "snapshotter/images/stored_image.hpp"

namespace lade {
namespace {

class Verify {
 public:
  Verify(StateDir& state, GcRecords& records) : state_(state), records_(records) {}

  Verification run() {
    inventory_ = take_inventory(state_, records_, {});
    check_database();
    check_blobs();
    check_diff_ids();
    check_images();
    check_layers();
    find_orphans();
    return std::move(out_);
  }

 private:
  void damage(std::string text) {
    const std::lock_guard lock(mutex_);
    out_.damage.push_back(std::move(text));
  }

  void check_database() {
    {
      auto row = state_.database().prepare("PRAGMA integrity_check");
      while (row.step()) {
        if (row.text(0) != "ok") damage("lade.db: " + row.text(0));
      }
    }
    auto row = state_.database().prepare("PRAGMA foreign_key_check");
    while (row.step()) damage("lade.db: a row of " + row.text(0) + " refers to nothing");
  }

  void check_blobs() {
    std::vector<Digest> digests;
    for (const auto& [digest, blob] : inventory_.blobs) digests.push_back(digest);
    out_.blobs = digests.size();
    parallel_for(0, digests.size(), [&](size_t i) {
      auto fd = state_.content().open_blob(digests[i]);
      if (!fd) return;  // removed meanwhile
      FdSource source(std::move(*fd));
      HashSink hash;
      copy_stream(source, hash);
      if (hash.digest() != digests[i]) {
        {
          const std::lock_guard lock(mutex_);
          damaged_.insert(digests[i]);
        }
        damage("blob " + digests[i].str() + ": it has other bytes than its digest says");
      }
    });
  }

  /// What is known of whose tar is in which blob.
  struct Pair {
    LayerId layer = 0;
    Digest blob;
    Digest diff_id;
  };

  std::vector<Pair> known_pairs() {
    std::vector<Pair> out;
    auto row = state_.database().prepare(
        "SELECT layer, digest, descriptor, diff_id FROM layer_blobs JOIN layers ON id = layer "
        "WHERE diff_id IS NOT NULL");
    while (row.step()) {
      Pair pair{row.integer(0), row.digest(1), row.digest(3)};
      const auto blob = try_parse_descriptor(row.text(2));
      if (!blob) {
        damage(fmt::format("lade.db: what it has of a blob of layer {}", layer_name(pair.layer)));
        continue;
      }
      const auto& annotations = blob->annotations;
      const auto rewritten = annotations.find("containerd.io/uncompressed");
      if (rewritten != annotations.end()) pair.diff_id = Digest::parse(rewritten->second);
      // Of a damaged one it is still known what it should be.
      if (inventory_.blobs.contains(pair.blob) && !damaged_.contains(pair.blob)) {
        out.push_back(pair);
      }
    }
    return out;
  }

  void forget_pair(const Pair& pair) {
    state_.database().transaction([&] {
      state_.database()
          .prepare("DELETE FROM layer_blobs WHERE layer = ? AND digest = ?")
          .bind(pair.layer)
          .bind(pair.blob)
          .run();
      state_.database()
          .prepare("UPDATE layers SET claim_holds = 0 WHERE id = ? AND claim IS NOT NULL")
          .bind(pair.layer)
          .run();
    });
  }

  void check_diff_ids() {
    const std::vector<Pair> pairs = known_pairs();
    parallel_for(0, pairs.size(), [&](size_t i) {
      const Pair& pair = pairs[i];
      auto fd = state_.content().open_blob(pair.blob);
      if (!fd) return;
      try {
        const auto tar = decompress(std::make_unique<FdSource>(std::move(*fd)));
        HashSource hashed(*tar);
        drain(hashed);
        if (hashed.digest() == pair.diff_id) return;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
      }
      forget_pair(pair);
      damage(fmt::format("layer {}: its tar is not in the blob {}, which is forgotten",
                         layer_name(pair.layer), pair.blob.str()));
    });
  }

  /// Whether the layer itself stands for the blob (an image that nobody has named yet), or it was
  /// left in the registry that the image was pushed to.
  bool can_do_without(const ImageName& name, const Digest& blob) {
    const auto pushed = state_.images().resolution(name.name);
    if (pushed && pushed->digest == name.target.digest) return true;
    auto row = state_.database().prepare(
        "SELECT 1 FROM layer_blobs JOIN layers ON layer = id "
        "WHERE digest = ? AND encoding = 'tar' AND has_directory = 1 LIMIT 1");
    return row.bind(blob).step();
  }

  void check_images() {
    out_.images = inventory_.images.size();
    for (const auto& name : inventory_.images) {
      const auto current = state_.images().find(name.name);
      if (!current || current->target.digest != name.target.digest) continue;
      const StoredImage image = read_stored_image(state_.content(), name.target);
      if (image.manifests.empty()) {
        damage("image " + name.name + ": its manifest or config is missing");
      }
      for (const auto& one : image.manifests) {
        for (const auto& layer : one.manifest.layers) {
          const auto size = state_.content().size(layer.digest);
          if (!size && can_do_without(name, layer.digest)) continue;
          if (!size) {
            damage(fmt::format("image {}: its layer {} is missing", name.name, layer.digest.str()));
          } else if (*size != layer.size) {
            damage(fmt::format("image {}: its layer {} has another size", name.name,
                               layer.digest.str()));
          }
        }
      }
    }
  }

  void check_layers() {
    for (const auto& [id, layer] : inventory_.layers) {
      if (!layer.has_directory) continue;
      ++out_.layers;
      const auto problems = state_.layers().verify(id);
      // Pinned only now: one that is being removed has no row any more.
      if (!state_.layers().info(id)) continue;
      for (const auto& problem : problems) damage(problem);
      if (problems.empty()) check_content(id);
    }
    mend_contents();
  }

  void check_content(LayerId id) {
    const auto content = state_.layers().wrong_content(id);
    if (!content) return;
    wrong_contents_[id] = *content;
    damage(
        fmt::format("layer {}: its content digest is not {}: it is mended, and what was found with "
                    "it forgotten",
                    layer_name(id), content->str()));
  }

  void mend_contents() {
    if (wrong_contents_.empty()) return;
    std::vector<LayerId> ids;
    for (const auto& [id, content] : wrong_contents_) ids.push_back(id);
    state_.database().transaction([&] {
      records_.forget_contents(ids);
      for (const auto& [id, content] : wrong_contents_) state_.layers().mend_content(id, content);
    });
  }

  void find_orphans() {
    const Inventory now = take_inventory(state_, records_, {});
    for (const auto& record : now.records) {
      for (const LayerId layer : record.layers) {
        if (!now.layers.contains(layer)) {
          out_.orphans.push_back("record " + record.key.hex().substr(0, 12) + ": its layer " +
                                 layer_name(layer) + " is gone");
        }
      }
    }
    for (const auto& [digest, blob] : now.blobs) {
      if (!now.needed_blobs.contains(digest) && !state_.layers().knows_blob(digest)) {
        out_.unneeded.push_back("blob " + digest.str() + ": no image or layer needs it");
      }
    }
    state_.database().transaction([&] {
      for (const auto& name : unknown_layer_files(state_)) {
        out_.orphans.push_back(name + ": there is no such layer");
      }
    });
  }

  StateDir& state_;
  GcRecords& records_;
  Inventory inventory_;
  std::set<Digest> damaged_;                  // blobs; guarded by mutex_
  std::map<LayerId, Digest> wrong_contents_;  // what they should be
  std::mutex mutex_;                          // guards out_ while blobs are read
  Verification out_;
};

}  // namespace

Verification verify_state(StateDir& state, GcRecords& records) {
  return Verify(state, records).run();
}

}  // namespace lade
