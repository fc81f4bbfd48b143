#include "solver/ops/selection.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/parallel.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

/// "a/b" for "/a/b/", "" for "/".
std::string relative_of(const std::string& path) {
  const std::string clean = clean_path("/" + path);
  return clean.substr(1);
}

std::string below(const std::string& dir, const std::string& path) {
  return dir.empty() ? path : path.substr(dir.size() + 1);
}

/// Of a path that is there, but as a link that leads nowhere; empty for others.
std::string dangling_hint(const Tree& tree, const std::string& path) {
  constexpr int kMostLinks = 40;
  std::string target = clean_path("/" + path);
  for (int links = 0; links < kMostLinks; ++links) {
    const auto found = tree.index().resolve(target.substr(1), false);
    if (!found || found->entry->type != EntryType::symlink) {
      if (links == 0) return {};
      const std::string why = tree.missing_hint(target);
      return fmt::format("it is a link to {}, which is not there{}", quoted(target),
                         why.empty() ? "" : ": " + why);
    }
    target = join_path(dir_name("/" + found->path), found->entry->link_target);
  }
  return "it is a link that leads back to itself";
}

[[noreturn]] void throw_missing(const Tree& tree, const std::string& path) {
  Error error(fmt::format("\"{}\" not found in {}", path, tree.what()), ErrorKind::not_found);
  std::string hint = dangling_hint(tree, path);
  error.set_hint(hint.empty() ? tree.missing_hint(path) : std::move(hint));
  throw error;
}

/// Walks a directory with the excludes (and, for --parents, the includes) of the action.
class Walk {
 public:
  Walk(const Tree& tree, const CopyAction& action, const std::vector<std::string>& includes)
      : tree_(tree), excludes_(action.excludes), includes_(includes) {}

  std::vector<SelectedEntry> run(const std::string& root) {
    descend(root, "", nullptr, nullptr);
    return std::move(entries_);
  }

 private:
  void descend(const std::string& dir, const std::string& relative,
               const PatternMatcher::Match* excluded, const PatternMatcher::Match* included) {
    for (auto& [name, found] : tree_.index().list(dir)) {
      const std::string path = relative.empty() ? name : relative + "/" + name;
      const auto exclude = excludes_.match(path, excluded);
      const auto include = includes_.match(path, included);
      const bool chosen = !exclude.matched && (includes_.empty() || include.matched);
      const bool directory = found.entry->type == EntryType::directory;
      if (!chosen && !directory) continue;
      if (directory && !chosen && !may_hold_chosen(path, exclude.matched)) continue;
      const size_t position = entries_.size();
      const std::string child_dir = found.path;
      entries_.push_back({path, std::move(found), !chosen});
      if (!directory) continue;
      descend(child_dir, path, &exclude, &include);
      // A directory that was only walked for what might be below, and held nothing.
      if (!chosen && entries_.size() == position + 1) entries_.pop_back();
    }
  }

  bool may_hold_chosen(const std::string& path, bool excluded) const {
    if (excluded && !excludes_.exception_may_match_below(path)) return false;
    return includes_.empty() || includes_.may_match_below(path) || excluded;
  }

  const Tree& tree_;
  PatternMatcher excludes_;
  PatternMatcher includes_;
  std::vector<SelectedEntry> entries_;
};

SelectedRoot make_root(const Tree& tree, const CopyAction& action, const std::string& path) {
  auto found = tree.index().resolve(relative_of(path), action.follow_source);
  if (!found) throw_missing(tree, path);
  SelectedRoot root;
  root.name = base_name(path);
  root.path = path;
  root.found = *found;
  if (found->entry->type == EntryType::directory) {
    root.entries = Walk(tree, action, action.includes).run(found->path);
    root.itself = !action.contents;
  }
  return root;
}

/// Of each required path (from the tree's root) something must have been chosen.
void check_required(const Tree& tree, const CopyAction& action,
                    const std::vector<SelectedRoot>& roots) {
  for (const auto& required : action.required) {
    const std::string path = clean_path("/" + required);
    const bool there = std::any_of(roots.begin(), roots.end(), [&](const SelectedRoot& root) {
      const std::string top = clean_path("/" + root.path);
      if (top.starts_with(path)) return true;
      return std::any_of(root.entries.begin(), root.entries.end(), [&](const auto& entry) {
        return join_path(top, entry.relative).starts_with(path);
      });
    });
    if (!there) throw_missing(tree, path);
  }
}

/// Paths that `pattern` (with wildcards) names; directories that match are not searched further.
std::vector<std::string> expand_wildcards(const Tree& tree, const std::string& pattern) {
  std::string base;
  std::string rest;
  for (const auto& part : split(relative_of(pattern), '/')) {
    std::string& out = rest.empty() && !has_wildcard(part) ? base : rest;
    out += (out.empty() ? "" : "/") + part;
  }
  const Glob glob(rest, Glob::Dialect::path);
  std::vector<std::string> matches;
  const auto root = tree.index().resolve(base);
  // To match nothing is no error, to look for it where nothing is, is one.
  if (!root) throw_missing(tree, "/" + base);
  if (root->entry->type != EntryType::directory) return matches;
  tree.index().walk(root->path, [&](const Found& found) {
    const std::string relative = below(root->path, found.path);
    if (!glob.matches(relative)) return true;
    matches.push_back("/" + (base.empty() ? relative : base + "/" + relative));
    return false;
  });
  return matches;
}

/// --parents: the part before "/./" is left out of the kept path.
std::vector<SelectedRoot> select_with_parents(const Tree& tree, const CopyAction& action) {
  // A "./" in front is no pivot.
  const auto pivot = action.source.find("/./", action.source.starts_with("/./") ? 1 : 0);
  const std::string top =
      pivot == std::string::npos ? "/" : clean_path("/" + action.source.substr(0, pivot));
  const std::string kept =
      relative_of(pivot == std::string::npos ? action.source : action.source.substr(pivot + 3));
  const bool plain = !has_wildcard(top) && !has_wildcard(kept);
  if (plain) {
    const std::string whole = join_path(top, kept);
    // No symlink is followed on the way.
    if (!tree.index().find(relative_of(whole))) throw_missing(tree, whole);
  }
  const std::vector<std::string> includes =
      kept.empty() ? std::vector<std::string>{} : std::vector<std::string>{kept};
  std::vector<SelectedRoot> roots;
  for (const auto& path : has_wildcard(top) ? expand_wildcards(tree, top) : std::vector{top}) {
    auto found = tree.index().resolve(relative_of(path));
    if (!found) throw_missing(tree, path);
    SelectedRoot root;
    root.name = base_name(path);
    root.path = action.source;
    root.found = *found;
    if (found->entry->type == EntryType::directory) {
      root.entries = Walk(tree, action, includes).run(found->path);
    }
    roots.push_back(std::move(root));
  }
  const auto empty = [](const SelectedRoot& root) { return root.entries.empty(); };
  if (plain && !kept.empty() && std::all_of(roots.begin(), roots.end(), empty)) {
    throw Error(fmt::format("nothing of {} is left by --exclude", lade::quoted(action.source)),
                ErrorKind::not_found);
  }
  return roots;
}

}  // namespace

std::vector<SelectedRoot> select_sources(const Tree& tree, const CopyAction& action) {
  std::vector<SelectedRoot> roots;
  if (action.parents) {
    roots = select_with_parents(tree, action);
  } else if (action.wildcard && has_wildcard(action.source)) {
    for (const auto& path : expand_wildcards(tree, action.source)) {
      roots.push_back(make_root(tree, action, path));
    }
    if (roots.empty() && action.must_match) throw_missing(tree, action.source);
  } else {
    roots.push_back(make_root(tree, action, action.source));
  }
  check_required(tree, action, roots);
  return roots;
}

namespace {

using LinkGroup = std::pair<size_t, uint32_t>;  // a layer, and its number of a group

bool is_link(const SelectedEntry& entry) {
  return entry.found.entry->hardlink_group != 0;
}

LinkGroup group_of(const SelectedEntry& entry) {
  return {entry.found.layer, entry.found.entry->hardlink_group};
}

/// Which of the files that were selected below a root are one file. Says nothing if none are: keys
/// of most selections have no word of links. Of what copying does not link only a mount shows it.
void hash_links(Hasher& hasher, const SelectedRoot& root, bool of_mount) {
  std::map<LinkGroup, std::vector<size_t>> groups;
  for (size_t i = 0; i < root.entries.size(); ++i) {
    const bool seen = of_mount || root.entries[i].found.entry->type == EntryType::regular;
    if (seen && is_link(root.entries[i])) groups[group_of(root.entries[i])].push_back(i);
  }
  std::vector<const std::vector<size_t>*> linked;
  for (const auto& [group, members] : groups) {
    if (members.size() > 1) linked.push_back(&members);
  }
  if (linked.empty()) return;
  // A group's number in its layer says nothing.
  std::sort(linked.begin(), linked.end(),
            [](const auto* a, const auto* b) { return a->front() < b->front(); });
  WireWriter writer;
  writer.text("lade links").list(linked, [](WireWriter& out, const auto* members) {
    out.list(*members, [](WireWriter& each, size_t position) { each.number(position); });
  });
  hasher.update(writer.str());
}

/// How many names each file has that has several, wherever they are: stat(2) tells a step.
void hash_link_counts(Hasher& hasher, const Tree& tree, const SelectedRoot& root) {
  std::map<LinkGroup, uint64_t> counts;
  std::set<size_t> layers;
  const auto note = [&](const Found& found) {
    if (found.entry->hardlink_group != 0) layers.insert(found.layer);
  };
  note(root.found);
  for (const auto& entry : root.entries) note(entry.found);
  for (const size_t layer : layers) {
    for (const auto& entry : tree.index().layers()[layer]->entries()) {
      if (entry.hardlink_group != 0) ++counts[{layer, entry.hardlink_group}];
    }
  }
  WireWriter writer;
  const auto add = [&](const Found& found) {
    if (found.entry->hardlink_group == 0) return;
    writer.text(found.path).number(counts.at({found.layer, found.entry->hardlink_group}));
  };
  if (layers.empty()) return;
  writer.text("lade link counts");
  add(root.found);
  for (const auto& entry : root.entries) add(entry.found);
  hasher.update(writer.str());
}

Digest digest_of(const Tree& tree, const std::vector<SelectedRoot>& roots, bool of_mount) {
  // Hash contents in parallel first; then one pass in order.
  std::vector<const Found*> files;
  for (const auto& root : roots) {
    if (root.found.entry->type == EntryType::regular) files.push_back(&root.found);
    for (const auto& entry : root.entries) {
      if (entry.found.entry->type == EntryType::regular) files.push_back(&entry.found);
    }
  }
  parallel_for(0, files.size(), [&](size_t i) { tree.content(*files[i]); });
  Hasher hasher;
  const auto add = [&](const Found& found, const std::string& relative) {
    const bool has_bytes = found.entry->type == EntryType::regular;
    hash_entry(hasher, has_bytes ? tree.hashed(found) : *found.entry, relative);
  };
  for (const auto& root : roots) {
    hasher.update(WireWriter().text("root").text(root.name).number(root.entries.size()).str());
    // A copied directory's own owner and mode do not reach the destination, unless it is meant.
    if (root.found.entry->type != EntryType::directory || root.itself) add(root.found, "");
    for (const auto& entry : root.entries) add(entry.found, entry.relative);
    // Links are kept among what one source names, as copying does.
    hash_links(hasher, root, of_mount);
    if (of_mount) hash_link_counts(hasher, tree, root);
  }
  return hasher.finish();
}

}  // namespace

Digest selection_digest(const Tree& tree, const std::vector<SelectedRoot>& roots) {
  return digest_of(tree, roots, false);
}

Digest mount_digest(const Tree& tree, const std::string& subpath) {
  CopyAction all;
  all.source = clean_path("/" + subpath);
  all.wildcard = false;
  all.contents = false;
  if (!tree.index().resolve(relative_of(all.source))) {
    return Digest::of(WireWriter().text("nothing to mount").text(all.source).str());
  }
  return digest_of(tree, select_sources(tree, all), true);
}

}  // namespace lade
