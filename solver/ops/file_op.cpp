// Applying copies. The rules are those of BuildKit's file ops: a directory brings its contents; a
// file goes into an existing directory or takes the destination's name; what is made on the way is
// 0755 of root (or as --chown and --chmod say); directories that existed at the destination's root
// keep their owner and mode, nested ones take the source's; files replace files and links, never
// directories.
#include "solver/ops/file_op.hpp"

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/users.hpp"
#include "solver/ops/file_mode.hpp"
#include "solver/ops/layer_builder.hpp"
#include "solver/ops/revealing_xattrs.hpp"
#include "solver/ops/selection.hpp"

namespace lade {
namespace {

std::string under(const std::string& dir, const std::string& name) {
  return dir.empty() ? name : dir + "/" + name;
}

void set_time_to_now(Entry& entry) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t now = now_ns();
  entry.mtime_sec = now / kSecond;
  entry.mtime_nsec = static_cast<uint32_t>(now % kSecond);
}

/// A directory or file that the builder makes up: root's, of now.
Entry made_up(uint32_t mode) {
  Entry entry;
  entry.mode = mode;
  set_time_to_now(entry);
  return entry;
}

void set_time(Entry& entry, const std::optional<FileTime>& time) {
  if (!time) return;
  entry.mtime_sec = time->seconds;
  entry.mtime_nsec = time->nanoseconds;
}

/// Owner, mode and time of one action, looked up.
struct Override {
  std::optional<ChownSpec> owner{};
  std::optional<std::string> mode{};
  std::optional<FileTime> mtime{};

  void apply(Entry& entry) const {
    if (owner) {
      entry.uid = owner->uid;
      entry.gid = owner->gid;
    }
    set_time(entry, mtime);
    if (mode && entry.type != EntryType::symlink) {
      entry.mode = apply_mode(*mode, entry.mode, entry.type == EntryType::directory);
    }
  }

  /// What directories made for the destination look like. A symbolic mode does not reach them.
  Entry directory() const {
    Entry entry = made_up(0755);
    entry.type = EntryType::directory;
    if (owner) {
      entry.uid = owner->uid;
      entry.gid = owner->gid;
    }
    // As in BuildKit, without set-id and sticky bits.
    if (mode) entry.mode = octal_mode(*mode).value_or(0755) & 0777;
    set_time(entry, mtime);
    return entry;
  }
};

/// A tree made by unpacking an archive into a scratch directory.
class ExtractedTree {
 public:
  ExtractedTree(LayerStore& layers, ByteSource& tar) : scratch_(layers.prepare()) {
    dir_ = sys::open(scratch_.path(), O_RDONLY | O_DIRECTORY);
    ExtractionNotes notes;
    index_ = std::make_unique<LayerIndex>(
        extract_tar(tar, dir_.get(), TarDialect::plain, false, &notes));
    implied_.insert(notes.implied.begin(), notes.implied.end());
    outward_links_ = std::move(notes.outward_links);
  }
  /// To what lies at the destination.
  const std::vector<OutwardLink>& outward_links() const { return outward_links_; }
  /// Whether the archive has nothing to say of the directory `path`, which only its contents imply.
  bool implied(const std::string& path) const { return implied_.contains(path); }
  const LayerIndex& index() const { return *index_; }
  UniqueFd open(const Entry& entry) const {
    auto fd = sys::open_in_root(dir_.get(), entry.path, O_RDONLY | O_NOFOLLOW);
    if (!fd) throw Error("the archive lost " + quoted(entry.path));
    return std::move(*fd);
  }

 private:
  PendingLayer scratch_;
  UniqueFd dir_;
  std::unique_ptr<LayerIndex> index_;
  std::set<std::string> implied_;
  std::vector<OutwardLink> outward_links_;
};

class FileOpRun {
 public:
  FileOpRun(LayerStore& layers, const LayerStack& base, const InputTrees& trees,
            const OnRevealing& on_revealing)
      : layers_(layers),
        base_tree_(stack_tree(layers, base)),
        trees_(trees),
        scratch_(base.empty()),
        builder_(layers, base_tree_->index()),
        on_revealing_(on_revealing) {}

  void borrow_from(LayerId earlier, Borrowing how) { builder_.borrow_from(earlier, how); }

  void operator()(const CopyAction& action) {
    const Tree& tree = *trees_.at(action.input - 1);
    const Override changes = override_of(action.owner, action.mode, action.mtime);
    if (!action.make_destination) need_parent(action);
    builder_.replace_other_types(action.replace);
    for (const auto& root : select_sources(tree, action)) {
      groups_.clear();
      if (action.unpack && unpack(tree, action, root, changes)) continue;
      copy_root(tree, action, root, changes);
    }
    builder_.replace_other_types(false);
  }

  void operator()(const MakeFileAction& action) {
    const Override changes = override_of(action.owner, action.mode, action.mtime);
    Entry entry = made_up(0644);
    std::string path;
    if (action.name.empty()) {
      path = builder_.canonical(action.destination, action.follow_destination, true);
      if (action.parents)
        builder_.make_directories(std::string(parent_of(path)), changes.directory());
      keep_look(path, entry, changes);
    } else {
      path = file_destination(action.destination, action.name, action.follow_destination,
                              changes.directory());
      changes.apply(entry);
    }
    StringSource bytes(action.content);
    builder_.put_file(path, entry, bytes);
  }

  void operator()(const MakeDirAction& action) {
    Entry entry = made_up(action.mode);
    entry.type = EntryType::directory;
    override_of(action.owner, std::nullopt, action.mtime).apply(entry);
    const std::string path = builder_.canonical(action.path, true, true);
    const Entry* existing = path.empty() ? nullptr : builder_.find(path);
    if (!action.parents) {
      if (!path.empty() && !existing) builder_.put_directory(path, entry, true);
      return;
    }
    if (existing && existing->type != EntryType::directory) {
      throw Error(fmt::format("cannot make the directory /{}: it is a file", path));
    }
    builder_.make_directories(path, entry);
  }

  void operator()(const SymlinkAction& action) {
    Entry entry = made_up(0777);
    entry.type = EntryType::symlink;
    entry.link_target = action.target;
    override_of(action.owner, std::nullopt, action.mtime).apply(entry);
    const std::string path = builder_.canonical(action.path, true, true);
    if (path.empty() || builder_.find(path)) {
      throw Error(fmt::format("cannot make the link /{}: it exists", path));
    }
    builder_.put_other(path, entry);
  }

  void operator()(const RemoveAction& action) {
    const std::string path = clean_path("/" + action.path);
    if (!action.wildcard || !has_wildcard(path)) return remove(path, action.must_exist);
    std::vector<std::string> named;
    const Glob glob(path.substr(1), Glob::Dialect::path);
    builder_.walk([&](const std::string& found) {
      if (!glob.matches(found)) return true;
      named.push_back("/" + found);
      return false;
    });
    for (const auto& found : named) remove(found, action.must_exist);
  }

  LayerId commit() { return builder_.commit(); }

 private:
  void remove(const std::string& path, bool must_exist) {
    const std::string canonical = builder_.canonical(path, true, false);
    if (!builder_.remove(canonical) && must_exist) {
      throw Error(fmt::format("{} is not there to be removed", quoted(path)), ErrorKind::not_found);
    }
  }

  void need_parent(const CopyAction& action) const {
    std::string path = builder_.canonical(action.destination, action.follow_destination, true);
    path = parent_of(path);
    if (!path.empty() && !builder_.find(path)) {
      throw Error(fmt::format("there is no directory /{} to copy to", path), ErrorKind::not_found);
    }
  }

  /// A file that is written again stays whose it was.
  void keep_look(const std::string& path, Entry& entry, const Override& changes) const {
    const Entry* existing = path.empty() ? nullptr : builder_.find(path);
    Override look = changes;
    if (existing && existing->type == EntryType::regular) {
      entry.uid = existing->uid;
      entry.gid = existing->gid;
      entry.mode = existing->mode;
      look.mode.reset();
    }
    look.apply(entry);
  }

  Override override_of(const std::optional<CopyOwner>& owner,
                       const std::optional<std::string>& mode,
                       const std::optional<FileTime>& mtime) const {
    Override changes;
    changes.mode = mode;
    changes.mtime = mtime;
    if (owner) {
      if (scratch_ && !numeric_chown(owner->user)) {
        Error error(fmt::format("cannot look up the owner {}: there is no /etc/passwd in scratch",
                                quoted(owner->user)));
        error.set_hint("use numbers, as in 1000:1000 (a --link layer starts from scratch, too)");
        throw error;
      }
      changes.owner = resolve_chown(owner->user, base_tree_->index(),
                                    [&](const Found& found) { return base_tree_->open(found); });
    }
    return changes;
  }

  /// Makes the part of `destination` that must be a directory; returns all of it, canonical.
  std::string prepare_destination(const std::string& destination, bool follow,
                                  const Entry& directory) {
    const bool as_directory = destination.ends_with('/');
    const std::string path = builder_.canonical(destination, follow, true);
    builder_.make_directories(as_directory ? path : std::string(parent_of(path)), directory);
    return path;
  }

  std::string file_destination(const std::string& destination, const std::string& name, bool follow,
                               const Entry& directory) {
    const std::string path = prepare_destination(destination, follow, directory);
    const Entry* existing = path.empty() ? nullptr : builder_.find(path);
    if (path.empty() || (existing && existing->type == EntryType::directory))
      return under(path, name);
    return path;
  }

  void copy_root(const Tree& tree, const CopyAction& action, const SelectedRoot& root,
                 const Override& changes) {
    Entry directory = changes.directory();
    // Made directories get the source's time, so that the same input gives the same layer.
    if (!action.mtime) {
      directory.mtime_sec = root.found.entry->mtime_sec;
      directory.mtime_nsec = root.found.entry->mtime_nsec;
    }
    if (root.found.entry->type != EntryType::directory) {
      const std::string path =
          file_destination(action.destination, root.name, action.follow_destination, directory);
      put(tree, {{}, root.found, false}, path, changes);
      return;
    }
    std::string path =
        prepare_destination(action.destination, action.follow_destination, directory);
    if (action.contents) {
      builder_.make_directories(path, directory);
    } else {
      // Into what is there, or as what is not.
      const bool named = !root.name.empty() && root.name != "/";
      if (named && (path.empty() || builder_.find(path))) path = under(path, root.name);
      Entry itself = *root.found.entry;
      itself.opaque = false;
      changes.apply(itself);
      builder_.put_directory(path, itself, false);
    }
    for (const auto& entry : root.entries) {
      put(tree, entry, under(path, entry.relative), changes);
    }
  }

  void put(const Tree& tree, const SelectedEntry& selected, const std::string& path,
           const Override& changes) {
    const Found& found = selected.found;
    Entry meta = *found.entry;
    changes.apply(meta);
    if (meta.type == EntryType::directory) {
      meta.opaque = false;
      // Of a directory on the way to what was selected, an existing one takes the mode only.
      const Entry* existing = selected.parent_only ? builder_.find(path) : nullptr;
      if (existing && existing->type == EntryType::directory) {
        const uint32_t mode = std::exchange(meta, *existing).mode;
        meta.mode = mode;
      }
      builder_.put_directory(path, meta, true);
      return;
    }
    if (meta.type != EntryType::regular) {
      builder_.put_other(path, meta);
      return;
    }
    if (const auto xattr = revealing_xattr(meta); xattr && on_revealing_) {
      on_revealing_(tree, found, *xattr);
    }
    const std::pair<size_t, uint32_t> group(found.layer, meta.hardlink_group);
    if (meta.hardlink_group != 0) {
      const auto first = groups_.find(group);
      if (first != groups_.end()) {
        builder_.put_hardlink(path, first->second);
        return;
      }
    }
    if (meta.hardlink_group == 0 &&
        builder_.borrow_file(path, meta, [&] { return tree.content(found); })) {
      return;
    }
    // Once more where somebody wrote to the file meanwhile.
    for (bool done = false; !done;) {
      const UniqueFd bytes = tree.open(found);
      done = tree.copied(found, builder_.put_file(path, meta, bytes.get()));
    }
    if (meta.hardlink_group != 0) groups_[group] = path;
  }

  /// ADD of an archive. False if the file is none.
  bool unpack(const Tree& tree, const CopyAction& action, const SelectedRoot& root,
              const Override& changes) {
    if (root.found.entry->type != EntryType::regular || !holds_tar(tree, root.found)) return false;
    const auto unpacked = extract(tree, root.found);
    const ExtractedTree& archive = *unpacked;
    const Override owner_only{.owner = changes.owner, .mtime = changes.mtime};
    const std::string path =
        builder_.canonical(action.destination, action.follow_destination, true);
    builder_.make_directories(path, owner_only.directory());
    std::map<uint32_t, std::string> links;
    builder_.replace_other_types(true);
    // First, since other entries may replace what they lead to.
    for (const auto& link : archive.outward_links()) put_outward_link(path, link, owner_only);
    for (const auto& entry : archive.index().entries()) {
      if (entry.path.empty()) continue;
      // Parents resolve in what is there: "bin/sh" of an archive goes to usr/bin where /bin is a
      // link to it.
      const std::string parent =
          builder_.canonical(under(path, std::string(parent_of(entry.path))), true, true);
      put_extracted(archive, entry, under(parent, base_name(entry.path)), owner_only, links);
    }
    builder_.replace_other_types(action.replace);
    return true;
  }

  /// Of the bytes that were hashed, whoever writes to the file meanwhile.
  std::unique_ptr<ExtractedTree> extract(const Tree& tree, const Found& file) {
    for (;;) {
      FdSource bytes(tree.open(file));
      HashSource hashed(bytes);
      std::exception_ptr failure;
      std::unique_ptr<ExtractedTree> out;
      try {
        const auto tar = decompress(hashed);
        out = std::make_unique<ExtractedTree>(layers_, *tar);
      } catch (const Error&) {
        failure = std::current_exception();
      }
      drain(hashed);
      if (!tree.copied(file, hashed.digest())) continue;
      if (failure) std::rethrow_exception(failure);
      return out;
    }
  }

  void put_extracted(const ExtractedTree& archive, const Entry& entry, const std::string& path,
                     const Override& changes, std::map<uint32_t, std::string>& links) {
    Entry meta = entry;
    changes.apply(meta);
    if (meta.type == EntryType::directory) {
      if (!archive.implied(entry.path)) {
        builder_.put_directory(path, meta, true);
      } else if (!builder_.find(path)) {
        builder_.put_directory(path, Override().directory(), true);
      }
    } else if (meta.type != EntryType::regular) {
      builder_.put_other(path, meta);
    } else if (const auto first = links.find(meta.hardlink_group);
               meta.hardlink_group != 0 && first != links.end()) {
      builder_.put_hardlink(path, first->second);
    } else {
      builder_.put_file(path, meta, archive.open(entry).get());
      if (meta.hardlink_group != 0) links[meta.hardlink_group] = path;
    }
  }

  /// Of a file below: it comes into this layer, as an overlay would have it, and has another name.
  void put_outward_link(const std::string& destination, const OutwardLink& link,
                        const Override& changes) {
    const auto place = [&](const std::string& name) {
      const std::string parent =
          builder_.canonical(under(destination, std::string(parent_of(name))), true, true);
      return under(parent, base_name(name));
    };
    const std::string target = place(link.target);
    const Entry* existing = builder_.find(target);
    if (!existing || existing->type == EntryType::directory) {
      throw Error(fmt::format("bad tar: {} is a hard link to {}, which is neither an earlier file "
                              "of the archive nor one at the destination",
                              quoted("/" + link.path), quoted("/" + link.target)),
                  ErrorKind::corrupt);
    }
    const std::string path = place(link.path);
    if (path == target) return;
    builder_.make_directories(std::string(parent_of(path)), changes.directory());
    Entry meta = *existing;
    if (meta.type != EntryType::symlink) {
      // Of the link, as tar has it; they share what they are.
      meta.mode = link.attributes.mode;
      meta.mtime_sec = link.attributes.mtime_sec;
      meta.mtime_nsec = 0;
    }
    meta.uid = link.attributes.uid;
    meta.gid = link.attributes.gid;
    changes.apply(meta);
    builder_.own_file(target, meta, [&](const Found& found) { return base_tree_->open(found); });
    builder_.put_hardlink(path, target);
  }

  static bool holds_tar(const Tree& tree, const Found& file) {
    try {
      const auto bytes = decompress(std::make_unique<FdSource>(tree.open(file)));
      return is_tar_header(read_start(*bytes, 512));
    } catch (const Error& error) {
      // Bytes that only look compressed are copied as they are.
      if (error.kind() == ErrorKind::corrupt) return false;
      throw;
    }
  }

  LayerStore& layers_;
  std::shared_ptr<const Tree> base_tree_;
  const InputTrees& trees_;
  const bool scratch_;  // nothing below
  LayerBuilder builder_;
  const OnRevealing& on_revealing_;
  std::map<std::pair<size_t, uint32_t>, std::string>
      groups_;  // hard links of the root being copied
};

}  // namespace

bool is_tar_header(std::string_view block) {
  if (block.size() < 512) return false;
  // The checksum field counts as blanks (POSIX ustar).
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  }
  unsigned stored = 0;
  bool digits = false;
  for (size_t i = 148; i < 156; ++i) {
    const char c = block[i];
    if (c >= '0' && c <= '7') {
      stored = stored * 8 + static_cast<unsigned>(c - '0');
      digits = true;
    } else if (digits) {
      break;
    } else if (c != ' ') {
      return false;
    }
  }
  return digits && stored == sum;
}

Digest file_op_selection(const FileOp& op, const InputTrees& trees) {
  WireWriter writer;
  for (const auto& action : op.actions) {
    const auto* copy = std::get_if<CopyAction>(&action);
    if (!copy || !trees.at(copy->input - 1)) continue;
    const Tree& tree = *trees[copy->input - 1];
    writer.digest(selection_digest(tree, select_sources(tree, *copy)));
  }
  return Digest::of(writer.str());
}

LayerId run_file_op(LayerStore& layers, const LayerStack& base, const FileOp& op,
                    const InputTrees& trees, std::optional<LayerId> earlier, Borrowing how,
                    const OnRevealing& on_revealing) {
  FileOpRun run(layers, base, trees, on_revealing);
  if (earlier) run.borrow_from(*earlier, how);
  for (const auto& action : op.actions) std::visit(run, action);
  return run.commit();
}

}  // namespace lade
