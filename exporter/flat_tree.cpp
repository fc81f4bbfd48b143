#include "exporter/flat_tree.hpp"

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "exporter/fetchers.hpp"
#include "exporter/layer_blob.hpp"
#include "exporter/output_file.hpp"
#include "snapshotter/tar.hpp"

namespace lade {
namespace {

void ensure_directories(StateDir& state, const ImageSource& source) {
  LayerStack missing;
  for (const LayerId layer : source.layers) {
    if (!state.layers().has_directory(layer)) missing.push_back(layer);
  }
  Fetchers fetchers(missing.size(), [&](size_t i) {
    const auto blobs = blob_provider(state, missing[i], source.provider);
    state.layers().ensure_directory(missing[i], *blobs);
  });
  fetchers.join();
}

}  // namespace

FlatTree::FlatTree(StateDir& state, const ImageSource& source, std::optional<Timestamp> epoch)
    : state_(state), stack_(source.layers) {
  ensure_directories(state, source);
  const MergedIndex merged = state.layers().merged(stack_);
  std::map<std::pair<size_t, uint32_t>, uint32_t> groups;
  merged.walk("", [&](const Found& found) {
    Entry entry = *found.entry;
    entry.path = found.path;
    if (entry.hardlink_group != 0) {
      const auto next = static_cast<uint32_t>(groups.size() + 1);
      entry.hardlink_group =
          groups.try_emplace({found.layer, entry.hardlink_group}, next).first->second;
    }
    if (epoch) {
      entry.mtime_sec = epoch->seconds;
      entry.mtime_nsec = static_cast<uint32_t>(epoch->nanoseconds);
    }
    entries_.push_back(std::move(entry));
    layers_.push_back(found.layer);
    return true;
  });
}

UniqueFd FlatTree::open(const Entry& entry) const {
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), entry.path, [](const Entry& candidate, const auto& path) {
        return compare_paths(candidate.path, path) == std::strong_ordering::less;
      });
  const auto layer = layers_.at(static_cast<size_t>(at - entries_.begin()));
  return state_.layers().open_entry(stack_.at(layer), entry);
}

void export_rootfs_tar(StateDir& state, const ImageSource& source, const std::string& dest,
                       std::optional<Timestamp> epoch) {
  OutputFile out = OutputFile::create(dest);
  const FlatTree tree(state, source, epoch);
  write_rootfs_tar(tree.entries(), [&](const Entry& entry) { return tree.open(entry); }, out);
  out.commit();
}

}  // namespace lade
