#include "exporter/joined_trees.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "base/error.hpp"
#include "exporter/output_file.hpp"
#include "snapshotter/tar/tar.hpp"

namespace lade {

JoinedTrees::JoinedTrees(StateDir& state, const std::vector<NamedSource>& sources,
                         std::optional<Timestamp> epoch, Timestamp made) {
  for (size_t i = 0; i < sources.size(); ++i) {
    trees_.push_back(std::make_unique<FlatTree>(state, *sources[i].source, epoch));
    add(i, sources[i].directory, *trees_.back(), epoch.value_or(made));
  }
  if (sources.size() > 1) merge(sources);
}

void JoinedTrees::add(size_t source, const std::string& directory, const FlatTree& tree,
                      Timestamp made) {
  if (!directory.empty()) {
    Entry top;
    top.path = directory;
    top.type = EntryType::directory;
    top.mode = 0755;
    top.mtime_sec = made.seconds;
    entries_.push_back(std::move(top));
    origins_.push_back({source, nullptr});
  }
  uint32_t last_group = groups_;
  for (const Entry& original : tree.entries()) {
    Entry entry = original;
    if (!directory.empty()) entry.path = directory + "/" + entry.path;
    if (entry.hardlink_group != 0) entry.hardlink_group += groups_;
    last_group = std::max(last_group, entry.hardlink_group);
    entries_.push_back(std::move(entry));
    origins_.push_back({source, &original});
  }
  groups_ = last_group;
}

void JoinedTrees::merge(const std::vector<NamedSource>& sources) {
  std::vector<size_t> order(entries_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return compare_paths(entries_[a].path, entries_[b].path) < 0;
  });
  std::vector<Entry> entries;
  std::vector<Origin> origins;
  for (const size_t i : order) {
    Entry& entry = entries_[i];
    if (!entries.empty() && entries.back().path == entry.path) {
      const Entry& before = entries.back();
      if (before.type == EntryType::directory && entry.type == EntryType::directory) continue;
      const auto platform = [&](const Origin& origin) {
        return sources[origin.source].source->config.platform.str();
      };
      throw Error(fmt::format("cannot overwrite {} from {} with {} when split option is disabled",
                              entry.path, platform(origins.back()), platform(origins_[i])));
    }
    entries.push_back(std::move(entry));
    origins.push_back(origins_[i]);
  }
  entries_ = std::move(entries);
  origins_ = std::move(origins);
}

UniqueFd JoinedTrees::open(const Entry& entry) const {
  const Origin& origin = origins_.at(static_cast<size_t>(&entry - entries_.data()));
  return trees_[origin.source]->open(*origin.entry);
}

void export_rootfs_tar(StateDir& state, const ImageSource& source, const std::string& dest,
                       std::optional<Timestamp> epoch) {
  export_rootfs_tar(state, std::vector<NamedSource>{{"", &source}}, dest, epoch);
}

void export_rootfs_tar(StateDir& state, const std::vector<NamedSource>& sources,
                       const std::string& dest, std::optional<Timestamp> epoch) {
  OutputFile out = OutputFile::create(dest);
  const JoinedTrees tree(state, sources, epoch);
  write_rootfs_tar(tree.entries(), [&](const Entry& entry) { return tree.open(entry); }, out);
  out.commit();
}

}  // namespace lade
