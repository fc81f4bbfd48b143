// LayerStore: the forms of a layer, each made from another when somebody needs it.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/holes.hpp"
#include "base/parallel.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/tree/dir_scan.hpp"
#include "snapshotter/tree/open_beneath.hpp"

namespace lade {
namespace {

/// Detects files that a power-off has torn; nothing more is asked of it.
uint64_t checksum(std::string_view bytes) {
  uint64_t sum = 0x9e3779b97f4a7c15 ^ bytes.size();
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    sum = (sum ^ word) * 0xff51afd7ed558ccd;
    sum ^= sum >> 32;
  }
  return sum;
}

std::string pack(const LayerIndex& index) {
  const std::string bytes = index.serialize();
  const uint64_t sum = checksum(bytes);
  std::string out(reinterpret_cast<const char*>(&sum), sizeof sum);
  return out += bytes;
}

}  // namespace

UniqueFd lock_number(const std::string& root, const std::string& file, uint64_t number) {
  UniqueFd fd = sys::open(root + "/locks/" + file, O_RDWR | O_CREAT, 0600);
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(number & ((uint64_t{1} << 62) - 1));  // offsets are signed
  range.l_len = 1;
  while (::fcntl(fd.get(), F_OFD_SETLKW, &range) != 0) {
    if (errno != EINTR) throw_errno("could not lock " + quoted(file));
  }
  return fd;
}

LayerIndex unpack_index(std::string_view bytes) {
  uint64_t sum = 0;
  if (bytes.size() < sizeof sum) throw Error("layer index ends early", ErrorKind::corrupt);
  std::memcpy(&sum, bytes.data(), sizeof sum);
  bytes.remove_prefix(sizeof sum);
  if (checksum(bytes) != sum) throw Error("layer index is damaged", ErrorKind::corrupt);
  return LayerIndex::parse(bytes);
}

void LayerStoreState::write_index(const std::string& path, const LayerIndex& index) {
  UniqueFd fd = sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  sys::write_all(fd.get(), pack(index));
  fd.close();
}

bool LayerStore::has_directory(LayerId layer) const {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->with_directory.contains(layer)) return true;
  }
  {
    auto row = state_->database.prepare("SELECT has_directory FROM layers WHERE id = ?");
    if (!row.bind(layer).step() || row.integer(0) == 0) return false;
  }
  const std::lock_guard lock(state_->mutex);
  state_->with_directory.insert(layer);
  return true;
}

LayerStack LayerStore::without_directory(const LayerStack& stack) const {
  LayerStack out = [&] {
    const std::lock_guard lock(state_->mutex);
    return state_->with_directory.missing(stack);
  }();
  std::erase_if(out, [&](LayerId layer) { return has_directory(layer); });
  return out;
}

std::string LayerStore::directory(LayerId layer) const {
  return state_->root + "/layers/" + state_->name(layer);
}

std::shared_ptr<const LayerIndex> LayerStore::load_index(LayerId layer) {
  if (const auto bytes = sys::read_file(state_->index_path(layer), uint64_t{4} << 30)) {
    try {
      return std::make_shared<const LayerIndex>(unpack_index(*bytes));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
    }
  }
  if (!has_directory(layer)) {
    throw Error(fmt::format("layer {} has neither an index nor a directory", layer),
                ErrorKind::not_found);
  }
  // Lost or torn: the directory says the same, but for the hashes.
  const UniqueFd dir =
      open_beneath(state_->layers_dir.get(), state_->name(layer), O_RDONLY | O_DIRECTORY);
  auto entries = scan_tree(dir.get(), state_->userxattr);
  bool says_root = false;
  {
    auto row = state_->database.prepare("SELECT root_mode IS NOT NULL FROM layers WHERE id = ?");
    says_root = row.bind(layer).step() && row.integer(0) != 0;
  }
  if (!says_root) std::erase_if(entries, [](const Entry& entry) { return entry.path.empty(); });
  auto index = std::make_shared<const LayerIndex>(std::move(entries));
  sys::write_file_atomically(state_->index_path(layer), pack(*index), 0600);
  return index;
}

std::shared_ptr<const LayerIndex> LayerStore::index(LayerId layer) {
  {
    const std::lock_guard lock(state_->mutex);
    const auto at = state_->indexes.find(layer);
    if (at != state_->indexes.end()) return at->second;
  }
  auto loaded = load_index(layer);
  const std::lock_guard lock(state_->mutex);
  // Another thread may have been faster, or have hashed it meanwhile.
  return state_->indexes.try_emplace(layer, std::move(loaded)).first->second;
}

std::shared_ptr<const LayerIndex> LayerStore::hashed_index(LayerId layer) {
  auto known = index(layer);
  if (known->hashed()) return known;
  std::shared_ptr<std::mutex> hashing;
  {
    const std::lock_guard lock(state_->mutex);
    auto& slot = state_->hashing[layer];
    if (!slot) slot = std::make_shared<std::mutex>();
    hashing = slot;
  }
  const std::lock_guard only_one(*hashing);
  known = index(layer);
  if (known->hashed()) return known;

  std::vector<Entry> entries = known->entries();
  std::vector<Entry*> unhashed;
  std::unordered_map<uint32_t, Entry*> first_of_group;
  for (auto& entry : entries) {
    if (entry.type != EntryType::regular || !entry.content.empty()) continue;
    if (entry.hardlink_group == 0 ||
        first_of_group.try_emplace(entry.hardlink_group, &entry).second) {
      unhashed.push_back(&entry);
    }
  }
  // Isolated: while this thread waits for the others it must not start work that wants the same
  // lock.
  tbb::this_task_arena::isolate([&] {
    parallel_for(0, unhashed.size(), [&](size_t i) {
      Entry& entry = *unhashed[i];
      const UniqueFd fd = open_entry(layer, entry);
      const CopiedFile hashed = hash_with_holes(fd.get());
      if (hashed.size != entry.size) {
        throw Error(fmt::format("{} in layer {} has changed", quoted(entry.path), layer),
                    ErrorKind::corrupt);
      }
      entry.content = hashed.content;
    });
  });
  for (auto& entry : entries) {
    if (entry.type == EntryType::regular && entry.content.empty()) {
      entry.content = first_of_group.at(entry.hardlink_group)->content;
    }
  }
  auto hashed = std::make_shared<const LayerIndex>(std::move(entries));
  sys::write_file_atomically(state_->index_path(layer), pack(*hashed), 0600);
  const std::lock_guard lock(state_->mutex);
  state_->indexes[layer] = hashed;
  return hashed;
}

MergedIndex LayerStore::merged(const LayerStack& stack, bool hashed) {
  std::vector<std::shared_ptr<const LayerIndex>> layers;
  layers.reserve(stack.size());
  for (const LayerId layer : stack) layers.push_back(hashed ? hashed_index(layer) : index(layer));
  return MergedIndex(std::move(layers));
}

Digest LayerStore::content_digest(LayerId layer) {
  const auto stored = [&]() -> std::optional<Digest> {
    auto row = state_->database.prepare(
        "SELECT content_digest, claimed_content, has_directory FROM layers WHERE id = ?");
    if (!row.bind(layer).step()) {
      throw Error(fmt::format("there is no layer {}", layer), ErrorKind::not_found);
    }
    if (!row.is_null(0)) return row.digest(0);
    if (!row.is_null(1) && row.integer(2) == 0) return row.digest(1);
    return std::nullopt;
  }();
  if (stored) return *stored;
  const Digest digest = hashed_index(layer)->content_digest();
  state_->database.prepare("UPDATE layers SET content_digest = ? WHERE id = ?")
      .bind(digest)
      .bind(layer)
      .run();
  return digest;
}

UniqueFd LayerStore::open_entry(LayerId layer, const Entry& entry) const {
  return with_context(
      [&] { return fmt::format("layer {}", layer); },
      [&] {
        if (entry.type != EntryType::regular)
          throw Error(quoted(entry.path) + " is not a regular file");
        UniqueFd fd = open_beneath(state_->layers_dir.get(), state_->name(layer) + "/" + entry.path,
                                   O_RDONLY | O_NONBLOCK);
        if (!S_ISREG(sys::fstat(fd.get()).st_mode)) {
          throw Error(quoted(entry.path) + " is not a regular file any more", ErrorKind::corrupt);
        }
        return fd;
      });
}

UniqueFd LayerStore::open_file(const LayerStack& stack, const Found& found) const {
  if (found.layer >= stack.size()) throw Error("a path was found in another stack");
  return open_entry(stack[found.layer], *found.entry);
}

}  // namespace lade
