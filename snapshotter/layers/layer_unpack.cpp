// LayerStore: blobs, and the directory form that is made of them. Everything is verified on the
// way: a blob's digest and size, the diff ID of the tar in it, the content that a cache claims.

#include <algorithm>
#include <array>
#include <unordered_map>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/tar/read_ahead.hpp"
#include "snapshotter/tar/tar.hpp"

namespace lade {
namespace {

using Progress = std::function<void(uint64_t, uint64_t)>;

/// A blob on its way to the decompressor: counted, hashed, and kept by `ingest` if it is not null.
class BlobSource : public ByteSource {
 public:
  BlobSource(ByteSource& inner, Ingest* ingest, uint64_t total, const Progress& progress)
      : inner_(inner), ingest_(ingest), total_(total), progress_(progress) {}

  size_t read(char* buffer, size_t size) override {
    const size_t count = inner_.read(buffer, size);
    if (count == 0) return 0;
    done_ += count;
    // More than was announced is refused before it fills the disk.
    if (done_ > total_) {
      throw Error(fmt::format("there are more than the expected {} bytes", total_),
                  ErrorKind::corrupt);
    }
    if (ingest_) {
      ingest_->write({buffer, count});
    } else {
      hasher_.update(buffer, count);
    }
    if (progress_) progress_(done_, total_);
    return count;
  }

  /// Without an ingest, which checks by itself.
  void check(const Descriptor& expected) {
    const Digest digest = hasher_.finish();
    if (digest == expected.digest && done_ == expected.size) return;
    throw Error(fmt::format("its {} bytes have digest {}", done_, digest.str()),
                ErrorKind::corrupt);
  }

 private:
  ByteSource& inner_;
  Ingest* ingest_;
  const uint64_t total_;
  const Progress& progress_;
  Hasher hasher_;
  uint64_t done_ = 0;
};

/// Whether the blob is an export's rewrite of the layer (clamped times), whose tar is another one.
bool is_rewritten(const LayerBlob& blob, const LayerInfo& layer) {
  const auto uncompressed = blob.descriptor.annotations.find("containerd.io/uncompressed");
  return uncompressed != blob.descriptor.annotations.end() &&
         (!layer.diff_id || uncompressed->second != layer.diff_id->digest.str());
}

/// Gives directories that a layer's tar only implies the look they have below, in the tree and in
/// the index: an overlay shows the upper one's.
LayerIndex copy_up(int dir, const LayerIndex& index, const std::vector<std::string>& implied,
                   const MergedIndex& below) {
  std::vector<Entry> entries = index.entries();
  // Children first: what is done in a directory changes its time.
  for (auto path = implied.rbegin(); path != implied.rend(); ++path) {
    const auto lower = below.find(*path);
    if (!lower || lower->entry->type != EntryType::directory) continue;
    const auto at = std::find_if(entries.begin(), entries.end(),
                                 [&](const Entry& entry) { return entry.path == *path; });
    const bool opaque = at->opaque;
    *at = *lower->entry;
    at->path = *path;
    at->opaque = opaque;
    const UniqueFd fd = sys::openat(dir, *path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const timespec time{at->mtime_sec, static_cast<long>(at->mtime_nsec)};
    const std::array times{time, time};
    for (const auto& xattr : at->xattrs) {
      if (::fsetxattr(fd.get(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) !=
          0) {
        throw_errno("could not set the attribute " + quoted(xattr.name));
      }
    }
    if (::fchown(fd.get(), at->uid, at->gid) != 0 || ::fchmod(fd.get(), at->mode) != 0 ||
        ::futimens(fd.get(), times.data()) != 0) {
      throw_errno("could not set up the directory " + quoted(*path));
    }
  }
  return LayerIndex(std::move(entries));
}

/// `index` as the tar had it: with the xattrs that found no room where it was unpacked.
LayerIndex as_packed(const LayerIndex& index, const std::vector<Entry>& full) {
  if (full.empty()) return index;
  std::unordered_map<std::string_view, const Entry*> by_path;
  std::unordered_map<uint32_t, const Entry*> by_group;
  for (const Entry& entry : full) {
    const Entry* found = index.find(entry.path);
    if (!found) continue;
    by_path[entry.path] = &entry;
    if (found->hardlink_group != 0) by_group[found->hardlink_group] = &entry;
  }
  std::vector<Entry> entries = index.entries();
  for (Entry& entry : entries) {
    if (const auto path = by_path.find(entry.path); path != by_path.end()) {
      entry.xattrs = path->second->xattrs;
    } else if (const auto group = by_group.find(entry.hardlink_group); group != by_group.end()) {
      entry.xattrs = group->second->xattrs;
    }
  }
  return LayerIndex(std::move(entries));
}

FalseClaim false_diff_id(const DiffId& found, const DiffId& said) {
  return FalseClaim(
      fmt::format("its tar has diff ID {}, not {}", found.digest.str(), said.digest.str()));
}

}  // namespace

/// Making one layer's directory. Its lock is held.
class LayerStore::Unpacking {
 public:
  Unpacking(LayerStore& store, LayerInfo layer, BlobProvider& provider, const Progress& progress,
            const LayersBelow& below)
      : store_(store),
        layer_(std::move(layer)),
        provider_(provider),
        progress_(progress),
        below_(below) {}

  void run() {
    std::erase_if(layer_.blobs, [&](const LayerBlob& blob) { return is_rewritten(blob, layer_); });
    // What is here already, first. Others may have other encodings of the layer.
    std::vector<Descriptor> missing;
    std::exception_ptr problem;
    for (const auto& blob : layer_.blobs) {
      try {
        if (from_store(blob.descriptor)) return;
        missing.push_back(blob.descriptor);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        problem = std::current_exception();
      }
    }
    for (const auto& blob : missing) {
      try {
        return fetch(blob);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::corrupt) throw;
        problem = std::current_exception();
      }
    }
    if (problem) std::rethrow_exception(problem);
    throw Error(fmt::format("layer {} has neither a directory nor a blob", layer_.id),
                ErrorKind::not_found);
  }

 private:
  /// False if the blob is not here, or damaged (and removed now). Throws Error(corrupt) if it is
  /// what its digest says, but not this layer: others may need it.
  bool from_store(const Descriptor& blob) {
    auto fd = store_.state_->content.open_blob(blob.digest);
    if (!fd) return false;
    FdSource bytes(std::move(*fd));
    try {
      unpack(blob, bytes, nullptr);
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      if (store_.state_->content.remove_if_damaged(blob.digest)) return false;
      disbelieve(blob);
      if (!layer_.claim || dynamic_cast<const FalseClaim*>(&error) != nullptr) throw;
      throw FalseClaim(error.message());
    }
  }

  void fetch(const Descriptor& blob) {
    const auto bytes = provider_.open(blob);
    const auto ingest = store_.state_->content.ingest();
    try {
      unpack(blob, *bytes, ingest.get());
    } catch (const FalseClaim&) {
      disbelieve(blob);
      throw;
    }
  }

  /// The blob is not this layer: of a cache's word that is remembered, of an image's the two are
  /// not known for each other any more.
  void disbelieve(const Descriptor& blob) {
    if (layer_.claim) {
      store_.record_claim(layer_.id, false);
      return;
    }
    store_.state_->database.prepare("DELETE FROM layer_blobs WHERE layer = ? AND digest = ?")
        .bind(layer_.id)
        .bind(blob.digest)
        .run();
  }

  /// The bytes are kept by `ingest` unless that is null.
  void unpack(const Descriptor& blob, ByteSource& bytes, Ingest* ingest) {
    PendingLayer pending = store_.prepare();
    LayerIndex index = with_context("layer " + blob.digest.str(), [&] {
      BlobSource source(bytes, ingest, blob.size, progress_);
      const auto tar = decompress(source);
      HashSource hashed(*tar);
      const UniqueFd dir = sys::open(pending.path(), O_RDONLY | O_DIRECTORY);
      ExtractionNotes notes;
      LayerIndex extracted = [&] {
        ReadAhead ahead(hashed);
        return extract_tar(ahead, dir.get(), TarDialect::layer, store_.state_->userxattr, &notes);
      }();
      drain(source);
      if (ingest) {
        ingest->commit(&blob);
      } else {
        source.check(blob);
      }
      const DiffId found{hashed.digest()};
      if (layer_.diff_id && found != *layer_.diff_id) throw false_diff_id(found, *layer_.diff_id);
      if (!notes.implied.empty()) {
        extracted = copy_up(dir.get(), extracted, notes.implied, merged_below());
      }
      if (layer_.claimed_content) {
        const Digest content = as_packed(extracted, notes.without_room).content_digest();
        if (content != *layer_.claimed_content) {
          throw FalseClaim(fmt::format("its files have the content digest {}, not {}",
                                       content.str(), layer_.claimed_content->str()));
        }
      }
      return extracted;
    });
    store_.keep_directory(layer_, pending, std::move(index));
  }

  /// What it lies on: of an image's layer that image's others, whatever stack it was met in.
  LayerStack stack_below() const {
    const std::lock_guard lock(store_.state_->mutex);
    const auto& images = store_.state_->of_images;
    const auto found = images.find(layer_.id);
    if (found == images.end()) return below_.stack;
    const auto begin = found->second.stack->begin();
    return {begin, begin + static_cast<ptrdiff_t>(found->second.position)};
  }

  MergedIndex merged_below() {
    const LayerStack stack = stack_below();
    for (size_t i = 0; i < stack.size(); ++i) {
      if (store_.has_directory(stack[i])) continue;
      if (below_.make) {
        below_.make(stack[i]);
      } else {
        const LayerStack lower(stack.begin(), stack.begin() + static_cast<ptrdiff_t>(i));
        store_.ensure_directory(stack[i], provider_, {}, lower);
      }
    }
    return store_.merged(stack);
  }

  LayerStore& store_;
  LayerInfo layer_;
  BlobProvider& provider_;
  const Progress& progress_;
  const LayersBelow& below_;
};

void LayerStore::ensure_directory(LayerId layer, BlobProvider& provider, const Progress& progress,
                                  const LayersBelow& below) {
  if (has_directory(layer)) return;
  const UniqueFd lock = lock_number(state_->root, "layers", static_cast<uint64_t>(layer));
  if (has_directory(layer)) return;
  auto known = info(layer);
  if (!known) throw Error(fmt::format("there is no layer {}", layer), ErrorKind::not_found);
  if (known->claim_holds == false) {
    throw FalseClaim(fmt::format("layer {} was found not to be what was said of it", layer));
  }
  Unpacking(*this, std::move(*known), provider, progress, below).run();
}

/// Makes `pending`, which `index` describes, the directory of a layer that had none.
void LayerStore::keep_directory(const LayerInfo& layer, const PendingLayer& pending,
                                LayerIndex index) {
  const auto shared = std::make_shared<const LayerIndex>(std::move(index));
  LayerStoreState::write_index(pending.dir_.path() + "/index", *shared);
  Database& database = state_->database;
  database.transaction([&] {
    auto row = database.prepare(
        "UPDATE layers SET has_directory = 1, durable = 0, boot_id = ?, root_opaque = ?, "
        "root_mode = ?, root_uid = ?, root_gid = ? WHERE id = ?");
    row.bind(state_->boot_id);
    RootAttributes::of(*shared).bind_to(row);
    row.bind(layer.id).run();
    if (layer.claim) {
      // Its bytes are known now: from here on it is hashed as a step's layer is.
      database.prepare("UPDATE layers SET content_digest = ?, claim_holds = 1 WHERE id = ?")
          .bind(shared->content_digest())
          .bind(layer.id)
          .run();
    }
    state_->place(pending, layer.id);
  });
  state_->remember(layer.id, shared);
  state_->durability.note_commit();
}

void LayerStore::ensure_blob(const Descriptor& blob, BlobProvider& provider,
                             const Progress& progress) {
  if (state_->content.has(blob.digest)) return;
  const UniqueFd lock = lock_number(state_->root, "blobs", std::hash<Digest>{}(blob.digest));
  if (state_->content.has(blob.digest)) return;
  with_context("blob " + blob.digest.str(), [&] {
    const auto bytes = provider.open(blob);
    const auto ingest = state_->content.ingest();
    BlobSource source(*bytes, ingest.get(), blob.size, progress);
    drain(source);
    ingest->commit(&blob);
  });
}

/// Whether the blob is here; then its tar is the layer's, or FalseClaim is thrown.
bool LayerStore::check_stored_blob(const LayerInfo& layer, const Descriptor& blob) {
  auto fd = state_->content.open_blob(blob.digest);
  if (!fd) return false;
  if (!layer.is_unchecked()) return true;
  FdSource bytes(std::move(*fd));
  std::string problem;
  try {
    const auto tar = decompress(bytes);
    HashSource hashed(*tar);
    drain(hashed);
    const DiffId found{hashed.digest()};
    if (found != *layer.diff_id) throw false_diff_id(found, *layer.diff_id);
    if (state_->content.size(blob.digest) != blob.size) throw FalseClaim("it has another size");
    record_claim(layer.id, true);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    problem = error.message();
  }
  if (state_->content.remove_if_damaged(blob.digest)) return false;
  record_claim(layer.id, false);
  throw FalseClaim(problem);
}

void LayerStore::ensure_layer_blob(LayerId layer, const Descriptor& blob, BlobProvider& provider,
                                   const Progress& progress) {
  const auto known = info(layer);
  if (!known) throw Error(fmt::format("there is no layer {}", layer), ErrorKind::not_found);
  with_context("layer " + blob.digest.str(), [&] {
    if (check_stored_blob(*known, blob)) return;
    const UniqueFd lock = lock_number(state_->root, "blobs", std::hash<Digest>{}(blob.digest));
    if (check_stored_blob(*known, blob)) return;
    const auto bytes = provider.open(blob);
    const auto ingest = state_->content.ingest();
    BlobSource source(*bytes, ingest.get(), blob.size, progress);
    const auto tar = decompress(source);
    HashSource hashed(*tar);
    drain(hashed);
    drain(source);
    const DiffId found{hashed.digest()};
    ingest->commit(&blob);
    const bool holds =
        !known->diff_id || found == *known->diff_id || is_rewritten({"", blob}, *known);
    if (known->claim) record_claim(layer, holds);
    if (!holds) throw false_diff_id(found, *known->diff_id);
  });
}

}  // namespace lade
