#include "snapshotter/gc/gc_inventory.hpp"

#include <algorithm>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory_chain.hpp"
#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/layers/file_age.hpp"

namespace lade {
namespace {

constexpr uint64_t kBlock = 512;

/// What one name takes; of a file with several links its share.
uint64_t own_bytes(const struct stat& info) {
  const uint64_t bytes = static_cast<uint64_t>(info.st_blocks) * kBlock;
  return S_ISDIR(info.st_mode) ? bytes : bytes / std::max<uint64_t>(info.st_nlink, 1);
}

void read_layers(StateDir& state, Inventory& out) {
  {
    auto row = state.database().prepare(
        "SELECT id, iif(claim IS NULL, diff_id, NULL), has_directory, coalesce(last_used, "
        "created_at), "
        "EXISTS(SELECT 1 FROM flattened_stacks WHERE layer = id) "
        "FROM layers LEFT JOIN layer_use ON layer = id");
    while (row.step()) {
      KnownLayer& layer = out.layers[row.integer(0)];
      if (!row.is_null(1)) layer.diff_id = row.digest(1);
      layer.has_directory = row.integer(2) != 0;
      layer.last_used = row.integer(3);
      layer.flattened = row.integer(4) != 0;
    }
  }
  auto row = state.database().prepare("SELECT layer, digest FROM layer_blobs");
  while (row.step()) {
    const auto layer = out.layers.find(row.integer(0));
    const Digest digest = row.digest(1);
    if (layer == out.layers.end() || !out.blobs.contains(digest)) continue;
    auto& blobs = layer->second.blobs;
    if (std::find(blobs.begin(), blobs.end(), digest) == blobs.end()) blobs.push_back(digest);
  }
}

void read_blobs(StateDir& state, Inventory& out) {
  const UniqueFd dir = sys::open(state.root() + "/blobs/sha256", O_RDONLY | O_DIRECTORY);
  for (const auto& name : sys::list_dir(dir.get())) {
    const auto info = sys::lstatat(dir.get(), name);
    if (!info || name.size() != 64) continue;
    StoredBlob& blob = out.blobs[Digest::parse("sha256:" + name)];
    blob.bytes = static_cast<uint64_t>(info->st_blocks) * kBlock;
    blob.changed_at = modified_ms(*info);
  }
}

/// Digests of layers that images have, and of their blobs.
void read_images(StateDir& state, const InventoryOptions& options, Inventory& out) {
  out.images = state.images().list();
  std::erase_if(out.images,
                [&](const ImageName& name) { return options.without.contains(name.name); });
  if (!options.without_resolutions) out.resolutions = state.images().list_resolutions();
  const auto note = [&](const std::vector<ImageName>& names, bool named) {
    for (const auto& name : names) {
      for (const auto& one : read_stored_image(state.content(), name.target).manifests) {
        for (const auto& diff_id : one.config.diff_ids) out.diff_ids.insert(diff_id.digest);
      }
      visit_image_blobs(state.content(), name.target, [&](const Descriptor& blob) {
        if (named) out.image_blobs.insert(blob.digest);
        if (named || !media_type::is_layer(blob.media_type)) out.needed_blobs.insert(blob.digest);
      });
    }
  };
  note(out.images, true);
  note(out.resolutions, false);
  for (auto& [id, layer] : out.layers) {
    layer.of_base = layer.diff_id && out.diff_ids.contains(*layer.diff_id);
  }
  // Without a blob an image is made of the layers themselves.
  auto row = state.database().prepare("SELECT layer, digest FROM layer_blobs");
  while (row.step()) {
    const Digest digest = row.digest(1);
    const auto layer = out.layers.find(row.integer(0));
    if (layer == out.layers.end() || out.blobs.contains(digest)) continue;
    layer->second.sole_form = layer->second.sole_form || out.image_blobs.contains(digest);
  }
}

}  // namespace

std::vector<std::string> unknown_layer_files(StateDir& state) {
  std::set<std::string> known = {"0", "00"};  // empty ones, for mounts
  auto row = state.database().prepare("SELECT id FROM layers");
  while (row.step()) known.insert(layer_name(row.integer(0)));
  std::vector<std::string> out;
  for (const std::string dir : {"layers", "index"}) {
    const UniqueFd fd = sys::open(state.root() + "/" + dir, O_RDONLY | O_DIRECTORY);
    for (const auto& name : sys::list_dir(fd.get())) {
      // "39.tmp-...": an index of a layer that there is, about to be renamed into place.
      if (!known.contains(name.substr(0, name.find('.')))) out.push_back(dir + "/" + name);
    }
  }
  return out;
}

std::map<LayerId, std::string> layer_descriptions(const Inventory& inventory) {
  std::map<LayerId, std::string> out;
  for (const auto& record : inventory.records) {
    if (!record.layers.empty()) out[record.layers.back()] = record.description;
  }
  return out;
}

uint64_t tree_bytes(int dirfd, const std::string& name) {
  const auto info = sys::lstatat(dirfd, name);
  if (!info) return 0;
  uint64_t sum = own_bytes(*info);
  if (!S_ISDIR(info->st_mode)) return sum;
  auto dir = sys::try_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir) return sum;
  try {
    DirectoryChain chain(std::move(*dir));
    std::vector<std::vector<std::string>> left = {sys::list_dir(chain.fd())};
    for (;;) {
      if (left.back().empty()) {
        left.pop_back();
        if (left.empty()) return sum;
        chain.leave();
        continue;
      }
      const std::string child = std::move(left.back().back());
      left.back().pop_back();
      const auto there = sys::lstatat(chain.fd(), child);
      if (!there) continue;
      sum += own_bytes(*there);
      if (!S_ISDIR(there->st_mode)) continue;
      chain.enter(child);
      left.push_back(sys::list_dir(chain.fd()));
    }
  } catch (const Error&) {
    // Somebody changes the tree at this moment; what was counted is as good as any answer.
    return sum;
  }
}

uint64_t path_bytes(const std::string& path) {
  return tree_bytes(AT_FDCWD, path);
}

Inventory take_inventory(StateDir& state, GcRecords& records, const InventoryOptions& options) {
  Inventory out;
  read_blobs(state, out);
  // One state of the database, whatever others do meanwhile.
  state.database().transaction([&] {
    read_layers(state, out);
    read_images(state, options, out);
    out.records = records.list();
  });
  for (const auto& record : out.records) {
    const auto top =
        record.layers.empty() ? out.layers.end() : out.layers.find(record.layers.back());
    for (const LayerId id : record.layers) {
      const auto layer = out.layers.find(id);
      if (layer == out.layers.end()) continue;
      ++layer->second.records;
      // What lies below something is used whenever that is.
      if (top == out.layers.end()) continue;
      layer->second.last_used = std::max(layer->second.last_used, top->second.last_used);
    }
  }
  if (!options.measure) return out;
  const UniqueFd layers = sys::open(state.root() + "/layers", O_RDONLY | O_DIRECTORY);
  const UniqueFd indexes = sys::open(state.root() + "/index", O_RDONLY | O_DIRECTORY);
  for (auto& [id, layer] : out.layers) {
    const std::string name = layer_name(id);
    layer.bytes = tree_bytes(layers.get(), name) + tree_bytes(indexes.get(), name);
  }
  return out;
}

std::map<std::string, uint64_t> abandoned_files(StateDir& state) {
  std::map<std::string, uint64_t> out;
  const UniqueFd dir = sys::open(state.tmp(), O_RDONLY | O_DIRECTORY);
  for (const auto& name : sys::list_dir(dir.get())) {
    if (is_abandoned(dir.get(), name)) out[name] = tree_bytes(dir.get(), name);
  }
  return out;
}

std::vector<LockedDirectory> locked_directories(const std::string& parent) {
  std::vector<LockedDirectory> out;
  const auto dir = sys::try_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
  if (!dir) return out;
  for (const auto& name : sys::list_dir(dir->get())) {
    const auto info = sys::lstatat(dir->get(), name);
    if (!info || !S_ISDIR(info->st_mode)) continue;
    LockedDirectory one{name, tree_bytes(dir->get(), name), info->st_mtim.tv_sec, false};
    if (const auto lock = sys::try_openat(dir->get(), name + ".lock", O_RDONLY)) {
      one.last_used = sys::fstat(lock->get()).st_mtim.tv_sec;
      one.in_use = ::flock(lock->get(), LOCK_EX | LOCK_NB) != 0;
    }
    out.push_back(std::move(one));
  }
  return out;
}

bool is_abandoned(int tmp, const std::string& name) {
  const auto file = sys::try_openat(tmp, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return file && ::flock(file->get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace lade
