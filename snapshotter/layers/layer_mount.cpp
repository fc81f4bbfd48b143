// LayerStore: stacks of layers as overlay mounts.

#include <algorithm>
#include <map>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/wire.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/layer_store_state.hpp"
#include "snapshotter/tree/tree_writer.hpp"

namespace lade {
namespace {

constexpr size_t kMaxLowers = 500;  // overlayfs's OVL_MAX_STACK

struct LayerRoot {
  bool has_directory = false;
  RootAttributes attributes;
};

LayerRoot root_of(Database& database, LayerId layer) {
  auto row = database.prepare(
      "SELECT has_directory, root_opaque, root_mode, root_uid, root_gid FROM layers WHERE id = ?");
  if (!row.bind(layer).step()) {
    throw Error(fmt::format("there is no layer {}", layer), ErrorKind::not_found);
  }
  const auto number = [&](int column) { return static_cast<uint32_t>(row.integer(column)); };
  return {row.integer(0) != 0,
          {row.integer(1) != 0, !row.is_null(2), number(2), number(3), number(4)}};
}

}  // namespace

Mount LayerStore::overlay(const LayerStack& stack, const PendingLayer* upper,
                          const std::vector<std::string>& stubs) {
  // Overlayfs heeds an opaque mark on every directory but the root: the layers below such a root
  // are left out here instead.
  LayerStack visible;  // top-most first
  std::set<LayerId> seen;
  RootAttributes root;
  for (auto layer = stack.rbegin(); layer != stack.rend(); ++layer) {
    const LayerRoot found = root_of(state_->database, *layer);
    if (!found.has_directory)
      throw Error(fmt::format("layer {} has no directory to mount", *layer));
    // Of a layer that was merged in twice the upper one decides all that the lower one would; the
    // kernel refuses the same directory twice.
    if (!seen.insert(*layer).second) continue;
    visible.push_back(*layer);
    if (!root.present) root = found.attributes;
    if (found.attributes.opaque) break;
  }
  if (stubs.size() + 1 > kMaxLowers) throw Error("too many mount stubs for one overlay");
  if (const size_t room = kMaxLowers - stubs.size(); visible.size() > room) {
    const LayerStack bottom(visible.rbegin(), visible.rend() - static_cast<ptrdiff_t>(room - 1));
    visible.resize(room - 1);
    visible.push_back(flatten(bottom));
    note_used({visible.back()});
  }

  keep_private(visible, true);

  Mount mount;
  mount.kind = MountKind::overlay;
  mount.target = "/";
  mount.lower_base = state_->root + "/layers";
  mount.lowers = stubs;
  for (const LayerId layer : visible) mount.lowers.push_back(state_->name(layer));
  // The kernel wants one lower beside an upper, two without.
  if (mount.lowers.empty()) mount.lowers.push_back("0");
  if (!upper && mount.lowers.size() == 1) mount.lowers.push_back("00");
  mount.read_only = upper == nullptr;
  mount.userxattr = state_->userxattr;
  if (!upper) return mount;
  mount.upper = upper->path();
  mount.work = upper->work();
  // The merged root is the upper one as it stands.
  if (root.present && (::chown(mount.upper.c_str(), root.uid, root.gid) != 0 ||
                       ::chmod(mount.upper.c_str(), root.mode) != 0)) {
    throw_errno("could not set the owner and mode of " + quoted(mount.upper));
  }
  return mount;
}

LayerId LayerStore::flatten(const LayerStack& bottom) {
  const Digest key = Digest::of(
      WireWriter().list(bottom, [](WireWriter& out, LayerId layer) { out.number(layer); }).str());
  Database& database = state_->database;
  const auto find = [&]() -> std::optional<LayerId> {
    auto row = database.prepare("SELECT layer FROM flattened_stacks WHERE stack = ?");
    if (!row.bind(key).step()) return std::nullopt;
    return row.integer(0);
  };
  if (const auto known = find(); known && exists({*known})) return *known;
  const UniqueFd lock = lock_number(state_->root, "flattened", std::hash<Digest>{}(key));
  if (const auto known = find(); known && exists({*known})) return *known;

  const MergedIndex view = merged(bottom);
  PendingLayer pending = prepare();
  const UniqueFd dir = sys::open(pending.path(), O_RDONLY | O_DIRECTORY);
  TreeWriter writer(dir.get(), state_->userxattr);
  std::vector<Entry> entries;
  std::map<std::pair<size_t, uint32_t>, size_t> groups;  // a layer's group: its first entry here
  const auto copy = [&](const Found& found) {
    Entry entry = *found.entry;
    entry.opaque = false;
    if (entry.hardlink_group != 0) {
      const auto [first, is_new] =
          groups.try_emplace({found.layer, entry.hardlink_group}, entries.size());
      entry.hardlink_group = static_cast<uint32_t>(first->second + 1);
      if (!is_new) {
        writer.link(entries[first->second].path, entry.path);
        entries.push_back(std::move(entry));
        return true;
      }
    }
    if (entry.type == EntryType::regular) {
      const UniqueFd from = open_file(bottom, found);
      const UniqueFd to = writer.create_file(entry);
      sys::copy_data(from.get(), to.get(), entry.size);
      writer.finish_file(to.get(), entry);
    } else {
      writer.make(entry);
    }
    entries.push_back(std::move(entry));
    return true;
  };
  view.walk("", copy);
  if (const auto root = view.find(""); root->entry->mtime_sec != 0 || root->entry->mode != 0755 ||
                                       root->entry->uid != 0 || root->entry->gid != 0) {
    entries.push_back(*root->entry);
    entries.back().opaque = false;
  }
  for (auto& entry : entries) {
    if (entry.type == EntryType::directory) writer.finish_directory(entry);
  }
  const LayerId layer = commit(std::move(pending), LayerIndex(std::move(entries)));
  database.prepare("INSERT OR REPLACE INTO flattened_stacks VALUES(?, ?)")
      .bind(key)
      .bind(layer)
      .run();
  return layer;
}

}  // namespace lade
