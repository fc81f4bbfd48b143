// MergedIndex: a tree of merged directories, each merged when it is first asked for.
//
// A directory of the merged view has sources, the layers that bring a part of it, top-most first.
// To merge it, the sources' children are put in order of name; for each name the top-most layer
// decides what it is, and if that is a directory, the layers that go on bringing parts of it are
// its own sources: down to the first that is opaque, a whiteout, or no directory (overlayfs stops
// there too).

#include <algorithm>
#include <mutex>
#include <tuple>

#include "base/error.hpp"
#include "base/text.hpp"
#include "snapshotter/tree/layer_index.hpp"

namespace lade {
namespace {

constexpr int kMaxLinks = 40;  // the kernel's MAXSYMLINKS

const Entry& default_root() {
  static const Entry root = [] {
    Entry entry;
    entry.type = EntryType::directory;
    entry.mode = 0755;
    return entry;
  }();
  return root;
}

std::string join_names(std::string_view dir, std::string_view name) {
  std::string out(dir);
  if (!out.empty()) out += '/';
  return out += name;
}

}  // namespace

struct MergedIndex::Node {
  /// Positions [begin, end) of one layer are what is below this directory there.
  struct Source {
    const LayerIndex* index;
    size_t layer;
    size_t begin;
    size_t end;
  };

  const Entry* entry = nullptr;
  size_t layer = 0;
  std::vector<Source> sources;  // top-most first
  mutable std::once_flag merged;
  mutable std::vector<Child> children;  // sorted by name, filled once
};

struct MergedIndex::Child {
  std::string_view name;
  const Entry* entry;
  size_t layer;
  std::unique_ptr<Node> node;  // of directories
};

MergedIndex::MergedIndex(std::vector<std::shared_ptr<const LayerIndex>> layers)
    : layers_(std::move(layers)) {
  auto root = std::make_shared<Node>();
  root->entry = &default_root();
  for (size_t layer = layers_.size(); layer-- > 0;) {
    const LayerIndex& index = *layers_[layer];
    const auto& entries = index.entries();
    const bool has_root = !entries.empty() && entries.front().path.empty();
    if (has_root && root->entry == &default_root()) {
      root->entry = &entries.front();
      root->layer = layer;
    }
    root->sources.push_back({&index, layer, has_root ? size_t{1} : 0, entries.size()});
    if (has_root && entries.front().opaque) break;
  }
  root_ = std::move(root);
}

const std::vector<MergedIndex::Child>& MergedIndex::children(const Node& node) {
  struct Candidate {
    std::string_view name;
    const Node::Source* source;
    size_t position;
  };
  const auto merge = [&] {
    std::vector<Candidate> candidates;
    for (const auto& source : node.sources) {
      for (size_t i = source.begin; i < source.end; i = source.index->subtree_end(i)) {
        const std::string_view path = source.index->entries()[i].path;
        const size_t slash = path.rfind('/');
        candidates.push_back(
            {slash == std::string_view::npos ? path : path.substr(slash + 1), &source, i});
      }
    }
    // The candidates of one name stay top-most first, as their sources are.
    if (node.sources.size() > 1) {
      std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return std::tie(a.name, a.source) < std::tie(b.name, b.source);
      });
    }
    for (size_t i = 0; i < candidates.size();) {
      size_t next = i + 1;
      while (next < candidates.size() && candidates[next].name == candidates[i].name) ++next;
      const Candidate& top = candidates[i];
      const Entry& entry = top.source->index->entries()[top.position];
      if (entry.type != EntryType::whiteout) {
        Child made{top.name, &entry, top.source->layer, nullptr};
        if (entry.type == EntryType::directory) {
          made.node = std::make_unique<Node>();
          made.node->entry = &entry;
          made.node->layer = made.layer;
          for (size_t k = i; k < next; ++k) {
            const auto& [name, source, position] = candidates[k];
            const Entry& part = source->index->entries()[position];
            if (part.type != EntryType::directory) break;
            made.node->sources.push_back(
                {source->index, source->layer, position + 1, source->index->subtree_end(position)});
            if (part.opaque) break;
          }
        }
        node.children.push_back(std::move(made));
      }
      i = next;
    }
  };
  std::call_once(node.merged, merge);
  return node.children;
}

const MergedIndex::Child* MergedIndex::child(const Node& node, std::string_view name) {
  const auto& all = children(node);
  const auto at = std::lower_bound(
      all.begin(), all.end(), name,
      [](const Child& candidate, std::string_view wanted) { return candidate.name < wanted; });
  return at != all.end() && at->name == name ? &*at : nullptr;
}

const MergedIndex::Node* MergedIndex::directory(std::string_view dir) const {
  const Node* node = root_.get();
  if (dir.empty()) return node;
  for (size_t begin = 0; node && begin <= dir.size();) {
    const size_t end = std::min(dir.find('/', begin), dir.size());
    const Child* next = child(*node, dir.substr(begin, end - begin));
    node = next ? next->node.get() : nullptr;
    begin = end + 1;
  }
  return node;
}

std::optional<Found> MergedIndex::find(std::string_view path) const {
  if (path.empty()) return Found{root_->entry, root_->layer, ""};
  if (path.starts_with('/')) return std::nullopt;
  const size_t slash = path.rfind('/');
  const bool top = slash == std::string_view::npos;
  const Node* node = top ? root_.get() : directory(path.substr(0, slash));
  const Child* found = node ? child(*node, top ? path : path.substr(slash + 1)) : nullptr;
  if (!found) return std::nullopt;
  return Found{found->entry, found->layer, std::string(path)};
}

/// Resolves one path component by component, as the kernel's path walk does.
class MergedIndex::Resolver {
 public:
  Resolver(const Node& root, std::string_view path, bool follow_last, bool creating)
      : root_(root), asked_(path), follow_last_(follow_last), creating_(creating) {
    push(path);
  }

  /// False if the path does not exist (and nothing is to be created).
  bool run() {
    while (!pending_.empty()) {
      const std::string name = std::move(pending_.back());
      pending_.pop_back();
      // An empty last component (a trailing slash) counts as one: what is before it must be a
      // directory.
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        if (!at_.empty()) at_.pop_back();
        continue;
      }
      if (!enter(name)) return false;
    }
    return true;
  }

  std::string path() const {
    std::string out;
    for (const auto& step : at_) out = join_names(out, step.name);
    return out;
  }

  Found found() const {
    if (at_.empty()) return {root_.entry, root_.layer, ""};
    return {at_.back().entry, at_.back().layer, path()};
  }

 private:
  struct Step {
    std::string name;
    const Node* node;  // null: no directory, or not there
    const Entry* entry;
    size_t layer;
  };

  void push(std::string_view path) {
    auto parts = split(path, '/');
    pending_.insert(pending_.end(), std::make_move_iterator(parts.rbegin()),
                    std::make_move_iterator(parts.rend()));
  }

  bool enter(const std::string& name) {
    const Node* node = at_.empty() ? &root_ : at_.back().node;
    const Child* next = node ? child(*node, name) : nullptr;
    if (!next) {
      if (creating_) at_.push_back({name, nullptr, nullptr, 0});
      return creating_;
    }
    const bool last = pending_.empty();
    if (next->entry->type == EntryType::symlink && (!last || follow_last_)) {
      if (++links_ > kMaxLinks) {
        throw Error("too many levels of symbolic links in " + quoted(asked_));
      }
      if (next->entry->link_target.starts_with('/')) at_.clear();
      push(next->entry->link_target);
      return true;
    }
    at_.push_back({name, next->node.get(), next->entry, next->layer});
    if (last || next->node) return true;
    if (creating_) throw Error(quoted("/" + path()) + " is not a directory");
    return false;
  }

  const Node& root_;
  const std::string asked_;
  const bool follow_last_;
  const bool creating_;
  std::vector<std::string> pending_;  // last one first
  std::vector<Step> at_;
  int links_ = 0;
};

std::optional<Found> MergedIndex::resolve(std::string_view path, bool follow_last) const {
  Resolver resolver(*root_, path, follow_last, false);
  if (!resolver.run()) return std::nullopt;
  return resolver.found();
}

std::string MergedIndex::resolve_for_create(std::string_view path, bool follow_last) const {
  Resolver resolver(*root_, path, follow_last, true);
  resolver.run();
  return resolver.path();
}

std::vector<std::pair<std::string, Found>> MergedIndex::list(std::string_view dir) const {
  std::vector<std::pair<std::string, Found>> out;
  const Node* node = directory(dir);
  if (!node) return out;
  for (const auto& item : children(*node)) {
    out.emplace_back(item.name, Found{item.entry, item.layer, join_names(dir, item.name)});
  }
  return out;
}

void MergedIndex::walk_node(const Node& node, const std::string& path,
                            const std::function<bool(const Found&)>& visit) {
  for (const auto& item : children(node)) {
    const Found found{item.entry, item.layer, join_names(path, item.name)};
    if (visit(found) && item.node) walk_node(*item.node, found.path, visit);
  }
}

void MergedIndex::walk(std::string_view dir, const std::function<bool(const Found&)>& visit) const {
  if (const Node* node = directory(dir)) walk_node(*node, std::string(dir), visit);
}

}  // namespace lade
