#include "daemon/container/live_tree.hpp"

#include <deque>
#include <map>

#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/tree/dir_scan.hpp"
#include "snapshotter/tree/open_beneath.hpp"

namespace lade {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel

}  // namespace

LiveTree::LiveTree(LayerStore& layers, LayerStack stack, const std::string& upper)
    : layers_(layers), stack_(std::move(stack)), lower_(layers.merged(stack_)) {
  if (!upper.empty()) upper_ = sys::open(upper, O_RDONLY | O_DIRECTORY);
}

std::optional<LiveTree::Place> LiveTree::child(const Place& directory,
                                               const std::string& name) const {
  const std::string& parent = directory.entry.path;
  const std::string path = parent.empty() ? name : parent + "/" + name;
  const auto below = directory.in_lower ? lower_.find(path) : std::nullopt;
  if (directory.in_upper) {
    const UniqueFd dir = open_beneath(upper_.get(), parent, O_RDONLY | O_DIRECTORY);
    if (auto entry = scan_entry(dir.get(), name, false)) {
      if (entry->type == EntryType::whiteout) return std::nullopt;
      entry->path = path;
      const bool merged = entry->type == EntryType::directory && !entry->opaque && below &&
                          below->entry->type == EntryType::directory;
      return Place{std::move(*entry), true, merged};
    }
  }
  if (!below) return std::nullopt;
  Place out{*below->entry, false, true};
  out.entry.path = path;
  return out;
}

std::optional<LiveTree::Place> LiveTree::find(const std::string& path, bool follow) const {
  Place root;
  root.entry = *lower_.find("")->entry;
  root.in_upper = static_cast<bool>(upper_);
  root.in_lower = true;
  std::vector<Place> way = {root};
  std::deque<std::string> rest;
  for (auto& part : split(path, '/')) rest.push_back(std::move(part));
  for (int links = 0; !rest.empty();) {
    const std::string name = rest.front();
    rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (way.back().entry.type != EntryType::directory) return std::nullopt;
    if (name == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    auto next = child(way.back(), name);
    if (!next) return std::nullopt;
    if (next->entry.type != EntryType::symlink || (rest.empty() && !follow)) {
      way.push_back(std::move(*next));
      continue;
    }
    if (++links > kMaxLinks) throw Error("too many symlinks in " + lade::quoted(path));
    const std::string& target = next->entry.link_target;
    if (target.starts_with('/')) way.resize(1);
    const auto parts = split(target, '/');
    rest.insert(rest.begin(), parts.begin(), parts.end());
  }
  return way.back();
}

UniqueFd LiveTree::open(const Place& file) const {
  if (file.in_upper) {
    // What it was may be something else by now, which must not make anybody wait.
    UniqueFd fd = open_beneath(upper_.get(), file.entry.path, O_RDONLY | O_NONBLOCK);
    if (S_ISREG(sys::fstat(fd.get()).st_mode)) return fd;
    throw Error(lade::quoted("/" + file.entry.path) + " is not a regular file");
  }
  return layers_.open_file(stack_, lower_.find(file.entry.path).value());
}

std::vector<std::pair<std::string, Entry>> LiveTree::list(const std::string& path) const {
  const auto place = find(path);
  if (!place) {
    throw Error(fmt::format("open {}: no such file or directory", path), ErrorKind::not_found);
  }
  if (place->entry.type != EntryType::directory) {
    throw Error(fmt::format("{} is not a directory", lade::quoted(path)));
  }
  std::map<std::string, Entry> out;
  if (place->in_lower) {
    for (const auto& [name, found] : lower_.list(place->entry.path)) out[name] = *found.entry;
  }
  if (place->in_upper) {
    const UniqueFd dir = open_beneath(upper_.get(), place->entry.path, O_RDONLY | O_DIRECTORY);
    for (const auto& name : sys::list_dir(dir.get())) {
      auto entry = scan_entry(dir.get(), name, false);
      if (!entry) continue;
      if (entry->type == EntryType::whiteout) {
        out.erase(name);
      } else {
        out[name] = std::move(*entry);
      }
    }
  }
  return {std::make_move_iterator(out.begin()), std::make_move_iterator(out.end())};
}

}  // namespace lade
