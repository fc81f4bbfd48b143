#include "solver/ops/layer_builder.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/text.hpp"
#include "base/user_namespace.hpp"
#include "snapshotter/tree/device_node.hpp"
#include "solver/ops/entry_metadata.hpp"

namespace lade {
namespace {

constexpr int kMaxLinks = 40;

mode_t type_bits(EntryType type) {
  switch (type) {
    case EntryType::char_device:
      return S_IFCHR;
    case EntryType::block_device:
      return S_IFBLK;
    case EntryType::fifo:
      return S_IFIFO;
    default:
      return S_IFSOCK;
  }
}

}  // namespace

LayerBuilder::LayerBuilder(LayerStore& layers, const MergedIndex& base)
    : layers_(layers), base_(base), pending_(layers.prepare()) {
  root_ = sys::open(pending_.path(), O_RDONLY | O_DIRECTORY);
}

/// Most paths come in order, and are looked for before they are put.
LayerBuilder::Entries::const_iterator LayerBuilder::own(const std::string& path) const {
  const bool beyond = entries_.empty() || compare_paths(entries_.rbegin()->first, path) < 0;
  return beyond ? entries_.end() : entries_.find(path);
}

const Entry* LayerBuilder::find(const std::string& path) const {
  const auto mine = own(path);
  if (mine != entries_.end()) {
    return mine->second.type == EntryType::whiteout ? nullptr : &mine->second;
  }
  if (is_hidden(path)) return nullptr;
  const auto found = base_.find(path);
  return found ? found->entry : nullptr;
}

/// Below something of this layer that is no directory there is nothing any more.
bool LayerBuilder::is_hidden(const std::string& path) const {
  if (last_fd_ && last_dir_ == parent_of(path)) return false;
  for (std::string up = path; !up.empty();) {
    up = parent_of(up);
    const auto found = entries_.find(up);
    if (found != entries_.end() && found->second.type != EntryType::directory) return true;
  }
  return false;
}

void LayerBuilder::walk(const std::function<bool(const std::string& path)>& visit) const {
  // What this layer has, then what it lets be seen of those below.
  std::vector<std::string> stopped;
  const auto below_stopped = [&](const std::string& path) {
    return std::any_of(stopped.begin(), stopped.end(), [&](const std::string& up) {
      return path.starts_with(up) && path.size() > up.size() && path[up.size()] == '/';
    });
  };
  for (const auto& [path, entry] : entries_) {
    if (path.empty() || entry.type == EntryType::whiteout || below_stopped(path)) continue;
    if (!visit(path)) stopped.push_back(path);
  }
  base_.walk("", [&](const Found& found) {
    const auto own = entries_.find(found.path);
    if (own != entries_.end()) {
      return own->second.type == EntryType::directory && !below_stopped(found.path + "/");
    }
    return !below_stopped(found.path) && visit(found.path);
  });
}

std::string LayerBuilder::canonical(const std::string& path, bool follow, bool follow_last) const {
  std::deque<std::string> todo;
  for (auto& part : split(path, '/')) todo.push_back(std::move(part));
  std::vector<std::string> done;
  int links = 0;
  bool missing = false;  // below something that does not exist nothing needs looking up
  while (!todo.empty()) {
    const std::string part = std::move(todo.front());
    todo.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!done.empty()) done.pop_back();
      missing = false;
      continue;
    }
    done.push_back(part);
    if (missing) continue;
    const std::string current = join(done, "/");
    const Entry* entry = find(current);
    const bool last = todo.empty() || (todo.size() == 1 && todo.front().empty());
    if (!entry) {
      missing = true;
    } else if (entry->type == EntryType::symlink && follow && (!last || follow_last)) {
      if (++links > kMaxLinks) throw Error("too many symbolic links in " + quoted(path));
      done.pop_back();
      if (entry->link_target.starts_with('/')) done.clear();
      const auto parts = split(entry->link_target, '/');
      todo.insert(todo.begin(), parts.begin(), parts.end());
    } else if (entry->type != EntryType::directory && !last) {
      throw Error(fmt::format("cannot copy to non-directory: /{}", current));
    }
  }
  return join(done, "/");
}

void LayerBuilder::replicate(const std::string& path) {
  if (path.empty()) return;
  const Entry* below = find(path);
  if (!below) throw Error(fmt::format("there is no directory /{}", path), ErrorKind::not_found);
  if (below->type != EntryType::directory) {
    throw Error(fmt::format("cannot copy to non-directory: /{}", path));
  }
  if (entries_.contains(path)) return;
  Entry meta = *below;
  meta.path = path;
  meta.opaque = false;
  const UniqueFd parent = parent_dir(path);
  sys::mkdirat(parent.get(), base_name(path), 0700);
  const UniqueFd dir =
      sys::openat(parent.get(), base_name(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  apply_metadata(path, meta, dir.get());
}

UniqueFd LayerBuilder::layer_dir(const std::string& path) {
  replicate(path);
  if (path.empty()) return sys::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY);
  if (!last_fd_ || last_dir_ != path) {
    auto fd = sys::open_in_root(root_.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) throw Error("the layer lost its directory " + quoted(path));
    last_fd_ = std::move(*fd);
    last_dir_ = path;
  }
  return UniqueFd(::fcntl(last_fd_.get(), F_DUPFD_CLOEXEC, 0));
}

UniqueFd LayerBuilder::parent_dir(const std::string& path) {
  return layer_dir(std::string(parent_of(path)));
}

void LayerBuilder::apply_metadata(const std::string& path, const Entry& meta, int fd) {
  set_metadata(fd, meta, path);
  Entry entry = meta;
  entry.path = path;
  entry.hardlink_group = 0;
  entries_[path] = std::move(entry);
}

void LayerBuilder::make_directories(const std::string& path, const Entry& meta) {
  const Entry* existing = path.empty() ? nullptr : find(path);
  if (path.empty() || (existing && existing->type == EntryType::directory)) return;
  if (existing) throw Error(fmt::format("cannot copy to non-directory: /{}", path));
  make_directories(std::string(parent_of(path)), meta);
  put_directory(path, meta, false);
}

bool LayerBuilder::put_directory(const std::string& path, const Entry& meta,
                                 bool replace_metadata) {
  Entry entry = meta;
  entry.type = EntryType::directory;
  entry.size = 0;
  entry.content = Digest();
  const Entry* existing = path.empty() ? nullptr : find(path);
  if (existing && existing->type != EntryType::directory) {
    if (!replace_other_types_) throw Error(fmt::format("cannot copy to non-directory: /{}", path));
    remove_own(path);
    existing = nullptr;
  }
  if (!existing && !path.empty()) {
    remove_own(path);  // a whiteout
    const UniqueFd parent = parent_dir(path);
    sys::mkdirat(parent.get(), base_name(path), 0700);
  } else if (!replace_metadata || path.empty()) {
    return false;
  }
  const bool made = existing == nullptr;
  const UniqueFd dir = layer_dir(made ? std::string(parent_of(path)) : path);
  const UniqueFd fd =
      made ? sys::openat(dir.get(), base_name(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
           : sys::openat(dir.get(), ".", O_RDONLY | O_DIRECTORY);
  apply_metadata(path, entry, fd.get());
  if (made) {
    // A directory below that was hidden so far must not shine through.
    for (const auto& [name, child] : base_.list(path)) put_whiteout(path + "/" + name);
  }
  return made;
}

UniqueFd LayerBuilder::ready(const std::string& path) {
  make_room(path);
  return parent_dir(path);
}

void LayerBuilder::make_room(const std::string& path) {
  if (path.empty()) throw Error("cannot replace to directory / with file");
  const Entry* existing = find(path);
  if (existing && existing->type == EntryType::directory) {
    if (!replace_other_types_) {
      throw Error(fmt::format("cannot replace to directory /{} with file", path));
    }
  }
  remove_own(path);
}

void LayerBuilder::remove_own(const std::string& path) {
  const auto first = own(path);
  if (first == entries_.end()) return;
  if (borrowed_) borrowed_->finish();
  auto last = std::next(first);
  while (last != entries_.end() && last->first.starts_with(path + "/")) ++last;
  entries_.erase(first, last);
  last_fd_.reset();
  sys::remove_tree(parent_dir(path).get(), base_name(path));
}

void LayerBuilder::put_whiteout(const std::string& path) {
  const UniqueFd dir = parent_dir(path);
  // As overlayfs has them.
  if (::mknodat(dir.get(), base_name(path).c_str(), S_IFCHR, makedev(0, 0)) != 0) {
    throw_errno("could not hide " + quoted(path));
  }
  Entry entry;
  entry.path = path;
  entry.type = EntryType::whiteout;
  entries_[path] = std::move(entry);
}

bool LayerBuilder::remove(const std::string& path) {
  if (path.empty()) throw Error("the root directory cannot be removed");
  if (!find(path)) return false;
  remove_own(path);
  if (base_.find(path)) put_whiteout(path);
  return true;
}

Digest LayerBuilder::put_file(const std::string& path, const Entry& meta, ByteSource& bytes) {
  const UniqueFd dir = ready(path);
  const UniqueFd fd = begin_file(dir.get(), path);
  FdSink file(fd.get());
  HashSink hash(&file);
  const uint64_t size = copy_stream(bytes, hash);
  return finish_file(dir.get(), path, meta, fd.get(), {size, hash.digest()});
}

Digest LayerBuilder::put_file(const std::string& path, const Entry& meta, int from) {
  const UniqueFd dir = ready(path);
  const UniqueFd fd = begin_file(dir.get(), path);
  return finish_file(dir.get(), path, meta, fd.get(), copy_with_holes(from, fd.get()));
}

UniqueFd LayerBuilder::begin_file(int dir, const std::string& path) {
  return sys::openat(dir, base_name(path), O_WRONLY | O_CREAT | O_EXCL, 0600);
}

Digest LayerBuilder::finish_file(int dir, const std::string& path, const Entry& meta, int fd,
                                 const CopiedFile& copied) {
  Entry entry = meta;
  entry.type = EntryType::regular;
  entry.size = copied.size;
  entry.content = copied.content;
  apply_metadata(path, entry, fd);
  set_times(dir, base_name(path), entry);
  return entry.content;
}

void LayerBuilder::borrow_from(LayerId donor, Borrowing how) {
  if (how == Borrowing::link) lent_ = layers_.lend(donor);
  borrowed_.emplace(layers_.index(donor),
                    sys::open(layers_.directory(donor), O_RDONLY | O_DIRECTORY),
                    lent_ ? Borrowing::link : Borrowing::copy);
}

bool LayerBuilder::borrow_file(const std::string& path, const Entry& meta,
                               const std::function<Digest()>& content) {
  const Entry* theirs = borrowed_ ? borrowed_->find(path) : nullptr;
  if (!theirs || theirs->content.empty() || theirs->hardlink_group != 0) return false;
  Entry entry = meta;
  entry.path = path;
  entry.hardlink_group = 0;
  entry.content = theirs->content;
  if (entry != *theirs || content() != theirs->content) return false;
  make_room(path);
  const std::string_view parent = parent_of(path);
  if (!borrowed_->is_open(parent) &&
      !borrowed_->open(std::string(parent), layer_dir(std::string(parent)))) {
    return false;
  }
  borrowed_->add(*theirs);
  if (lent_) shares_files_ = true;
  entries_.insert_or_assign(entries_.end(), path, std::move(entry));
  return true;
}

void LayerBuilder::own_file(const std::string& path, const Entry& meta,
                            const std::function<UniqueFd(const Found&)>& open) {
  if (own(path) != entries_.end()) {
    if (borrowed_) borrowed_->finish();
    return;
  }
  if (meta.type != EntryType::regular) return put_other(path, meta);
  const auto below = base_.find(path);
  put_file(path, meta, open(*below).get());
}

void LayerBuilder::put_hardlink(const std::string& path, const std::string& existing) {
  const UniqueFd dir = ready(path);
  const UniqueFd from = parent_dir(existing);
  if (::linkat(from.get(), base_name(existing).c_str(), dir.get(), base_name(path).c_str(), 0) !=
      0) {
    throw_errno("could not link " + quoted(path));
  }
  Entry& original = entries_.at(existing);
  if (original.hardlink_group == 0) original.hardlink_group = next_group_++;
  Entry entry = original;
  entry.path = path;
  entries_[path] = std::move(entry);
}

void LayerBuilder::put_other(const std::string& path, const Entry& meta) {
  const UniqueFd dir = ready(path);
  const std::string name = base_name(path);
  if (meta.type == EntryType::symlink) {
    if (::symlinkat(meta.link_target.c_str(), dir.get(), name.c_str()) != 0) {
      throw_errno("could not make the link " + quoted(path));
    }
  } else if (meta.type == EntryType::char_device || meta.type == EntryType::block_device) {
    if (make_device(dir.get(), name, meta, 0600) != 0) {
      throw_errno("could not make the device " + quoted(path));
    }
  } else if (::mknodat(dir.get(), name.c_str(), type_bits(meta.type) | 0600, 0) != 0) {
    throw_errno("could not make " + quoted(path));
  }
  if (::fchownat(dir.get(), name.c_str(), meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    throw_owner_error(path);
  }
  if (meta.type != EntryType::symlink && ::fchmodat(dir.get(), name.c_str(), meta.mode, 0) != 0) {
    throw_errno("could not set the mode of " + quoted(path));
  }
  set_times(dir.get(), name, meta);
  Entry entry = meta;
  entry.path = path;
  entry.hardlink_group = 0;
  entry.content = Digest();
  entries_[path] = std::move(entry);
}

LayerId LayerBuilder::commit() {
  if (borrowed_) borrowed_->finish();
  last_fd_.reset();
  // Directories last and from the bottom up: making their children touched them.
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->second.type != EntryType::directory) continue;
    const std::string path(parent_of(entry->first));
    const auto parent =
        sys::open_in_root(root_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
    if (!parent) throw Error("the layer lost a directory of " + quoted(entry->first));
    set_times(parent->get(), base_name(entry->first), entry->second);
  }
  std::vector<Entry> entries;
  entries.reserve(entries_.size());
  for (auto& [path, entry] : entries_) entries.push_back(std::move(entry));
  return layers_.commit(std::move(pending_), LayerIndex(std::move(entries)), shares_files_);
}

}  // namespace lade
