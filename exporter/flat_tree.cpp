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
  std::vector<size_t> missing;  // positions
  for (size_t i = 0; i < source.layers.size(); ++i) {
    if (!state.layers().has_directory(source.layers[i])) missing.push_back(i);
  }
  Fetchers fetchers(missing.size(), [&](size_t i) {
    const auto at = source.layers.begin() + static_cast<ptrdiff_t>(missing[i]);
    const auto blobs = blob_provider(state, *at, source.provider);
    state.layers().ensure_directory(*at, *blobs, nullptr, LayerStack(source.layers.begin(), at));
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

void export_rootfs_tar(StateDir& state, const std::vector<NamedSource>& sources,
                       const std::string& dest, std::optional<Timestamp> epoch) {
  std::vector<FlatTree> trees;
  std::vector<Entry> entries;
  uint32_t groups = 0;  // of hard links: a tree's own must not meet another's
  for (const NamedSource& named : sources) {
    const FlatTree& tree = trees.emplace_back(state, *named.source, epoch);
    Entry top;
    top.path = named.directory;
    top.type = EntryType::directory;
    top.mode = 0755;
    if (epoch) top.mtime_sec = epoch->seconds;
    entries.push_back(std::move(top));
    uint32_t last_group = groups;
    for (Entry entry : tree.entries()) {
      entry.path = named.directory + "/" + entry.path;
      if (entry.hardlink_group != 0) entry.hardlink_group += groups;
      last_group = std::max(last_group, entry.hardlink_group);
      entries.push_back(std::move(entry));
    }
    groups = last_group;
  }
  OutputFile out = OutputFile::create(dest);
  const auto open = [&](const Entry& entry) {
    const auto slash = entry.path.find('/');
    const std::string directory = entry.path.substr(0, slash);
    for (size_t i = 0; i < sources.size(); ++i) {
      if (sources[i].directory != directory) continue;
      Entry own = entry;
      own.path = entry.path.substr(slash + 1);
      return trees[i].open(own);
    }
    throw Error("there is no tree " + quoted(directory));
  };
  write_rootfs_tar(entries, open, out);
  out.commit();
}

}  // namespace lade
