// LayerStore::verify(): is a layer's directory what its index says?
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/tree/dir_scan.hpp"
#include "snapshotter/tree/open_beneath.hpp"

namespace lade {
namespace {

constexpr size_t kMostProblems = 10;

Digest hash_file(int fd) {
  Hasher hasher;
  std::vector<char> buffer(128 * 1024);
  while (const size_t size = sys::read_some(fd, buffer.data(), buffer.size())) {
    hasher.update(buffer.data(), size);
  }
  return hasher.finish();
}

}  // namespace

std::vector<std::string> LayerStore::verify(LayerId layer) const {
  bool says_root = false;
  {
    auto row = state_->database.prepare(
        "SELECT has_directory, root_mode IS NOT NULL FROM layers WHERE id = ?");
    if (!row.bind(layer).step() || row.integer(0) == 0) return {};
    says_root = row.integer(1) != 0;
  }
  std::vector<std::string> problems;
  const auto say = [&](const std::string& path, const char* what) {
    if (problems.size() < kMostProblems) {
      problems.push_back(fmt::format("layer {}: {}: {}", state_->name(layer), quoted(path), what));
    }
  };
  try {
    const auto bytes = sys::read_file(state_->index_path(layer), uint64_t{4} << 30);
    if (!bytes) return {fmt::format("layer {}: its index is missing", state_->name(layer))};
    const LayerIndex index = unpack_index(*bytes);
    const UniqueFd dir =
        open_beneath(state_->layers_dir.get(), state_->name(layer), O_RDONLY | O_DIRECTORY);
    auto entries = scan_tree(dir.get(), state_->userxattr);
    if (!says_root) std::erase_if(entries, [](const Entry& entry) { return entry.path.empty(); });
    const LayerIndex found(std::move(entries));
    for (const auto& entry : found.entries()) {
      if (!index.find(entry.path)) say(entry.path, "it is not in the index");
    }
    for (const auto& entry : index.entries()) {
      const Entry* there = found.find(entry.path);
      if (!there) {
        say(entry.path, "it is missing");
        continue;
      }
      Entry same = *there;
      same.content = entry.content;
      if (same != entry) {
        say(entry.path, "it has changed");
      } else if (entry.type == EntryType::regular && !entry.content.empty() &&
                 hash_file(open_entry(layer, entry).get()) != entry.content) {
        say(entry.path, "its bytes have changed");
      }
    }
  } catch (const Error& error) {
    problems.push_back(fmt::format("layer {}: {}", state_->name(layer), error.message()));
  }
  return problems;
}

std::optional<Digest> LayerStore::wrong_content(LayerId layer) {
  std::optional<DiffId> diff_id;
  Digest stored;
  bool of_image = false;
  {
    auto row = state_->database.prepare(
        "SELECT content_digest, diff_id, of_image = 1 AND claim IS NULL FROM layers "
        "WHERE id = ? AND has_directory = 1");
    if (!row.bind(layer).step() || row.is_null(0)) return std::nullopt;
    stored = row.digest(0);
    if (!row.is_null(1)) diff_id = DiffId{row.digest(1)};
    of_image = row.integer(2) != 0;
  }
  const Digest content =
      of_image && diff_id ? image_layer_content(*diff_id) : hashed_index(layer)->content_digest();
  return content == stored ? std::nullopt : std::optional(content);
}

void LayerStore::mend_content(LayerId layer, const Digest& content) {
  state_->database.prepare("UPDATE layers SET content_digest = ? WHERE id = ?")
      .bind(content)
      .bind(layer)
      .run();
}

}  // namespace lade
