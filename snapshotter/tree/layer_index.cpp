#include "snapshotter/tree/layer_index.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <unordered_map>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"

namespace lade {
namespace {

constexpr std::string_view kMagic = "lade-index 1";
constexpr uint32_t kModeBits = 07777;
constexpr uint32_t kNanoseconds = 1'000'000'000;

/// Length of the common prefix, eight bytes at a time: paths of one directory share most of theirs.
size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t i = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; i + 8 <= size; i += 8) {
      uint64_t left = 0;
      uint64_t right = 0;
      std::memcpy(&left, a.data() + i, 8);
      std::memcpy(&right, b.data() + i, 8);
      if (left != right) return i + static_cast<size_t>(std::countr_zero(left ^ right)) / 8;
    }
  }
  while (i < size && a[i] == b[i]) ++i;
  return i;
}

bool is_below(std::string_view path, std::string_view dir) {
  if (dir.empty()) return !path.empty();
  return path.size() > dir.size() && path[dir.size()] == '/' && path.starts_with(dir);
}

/// Relative, without empty, "." or ".." components and without NUL; "" is the root.
bool is_clean(std::string_view path) {
  if (path.empty()) return true;
  if (path.find('\0') != std::string_view::npos) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

void normalise(Entry& entry) {
  if (!is_clean(entry.path)) {
    throw Error("a layer holds the path " + quoted(entry.path), ErrorKind::corrupt);
  }
  if (entry.type == EntryType::whiteout) {
    Entry bare;
    bare.path = std::move(entry.path);
    bare.type = EntryType::whiteout;
    entry = std::move(bare);
    return;
  }
  entry.mode = entry.type == EntryType::symlink ? 0777 : entry.mode & kModeBits;
  if (entry.type != EntryType::directory) entry.opaque = false;
  if (entry.type == EntryType::directory) entry.hardlink_group = 0;
  if (entry.type != EntryType::regular) {
    entry.size = 0;
    entry.content = Digest();
  }
  if (entry.type != EntryType::symlink) entry.link_target.clear();
  if (entry.type != EntryType::char_device && entry.type != EntryType::block_device) {
    entry.dev_major = entry.dev_minor = 0;
  }
  std::sort(entry.xattrs.begin(), entry.xattrs.end());
}

bool before(const Entry& a, const Entry& b) {
  return compare_paths(a.path, b.path) < 0;
}

/// Sorts by path, equal ones as they came (std::stable_sort warns of its own insides with clang).
void sort_stably(std::vector<Entry>& entries) {
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const auto paths = compare_paths(entries[a].path, entries[b].path);
    return paths == 0 ? a < b : paths < 0;
  });
  std::vector<Entry> sorted;
  sorted.reserve(entries.size());
  for (const size_t i : order) sorted.push_back(std::move(entries[i]));
  entries = std::move(sorted);
}

/// Whether an xattr belongs to the content rather than to the host (BuildKit's rule).
bool counts(const sys::Xattr& xattr) {
  const std::string_view name = xattr.name;
  return name == "security.capability" ||
         !(name.starts_with("security.") || name.starts_with("system.") ||
           name.starts_with("trusted."));
}

void write_entry(WireWriter& out, const Entry& entry) {
  // Several small fields share a word: an index of a base image has tens of thousands of entries.
  const bool has_content = !entry.content.empty();
  out.number(uint64_t{static_cast<uint8_t>(entry.type)} | uint64_t{entry.opaque} << 8 |
             uint64_t{has_content} << 9 | uint64_t{entry.mode} << 16 |
             uint64_t{entry.mtime_nsec} << 32);
  out.number(entry.uid | uint64_t{entry.gid} << 32);
  out.number(entry.dev_major | uint64_t{entry.dev_minor} << 32);
  out.number(entry.size).number(entry.mtime_sec).number(entry.hardlink_group);
  out.text(entry.path).text(entry.link_target);
  out.list(entry.xattrs, [](WireWriter& writer, const sys::Xattr& xattr) {
    writer.text(xattr.name).text(xattr.value);
  });
  if (has_content) out.digest(entry.content);
}

Entry read_entry(WireReader& in) {
  Entry entry;
  const auto word = in.number();
  const auto owner = in.number();
  const auto device = in.number();
  if ((word & 0xff) > static_cast<uint8_t>(EntryType::whiteout)) {
    throw Error("a layer index holds an unknown type", ErrorKind::corrupt);
  }
  entry.type = static_cast<EntryType>(word & 0xff);
  entry.opaque = (word >> 8 & 1) != 0;
  entry.mode = word >> 16 & kModeBits;
  entry.mtime_nsec = static_cast<uint32_t>(word >> 32);
  if (entry.mtime_nsec >= kNanoseconds) {
    throw Error("a layer index holds a bad time", ErrorKind::corrupt);
  }
  entry.uid = static_cast<uint32_t>(owner);
  entry.gid = static_cast<uint32_t>(owner >> 32);
  entry.dev_major = static_cast<uint32_t>(device);
  entry.dev_minor = static_cast<uint32_t>(device >> 32);
  entry.size = in.number();
  entry.mtime_sec = in.number<int64_t>();
  entry.hardlink_group = in.number<uint32_t>();
  entry.path = in.text();
  entry.link_target = in.text();
  const size_t xattrs = in.count();
  for (size_t i = 0; i < xattrs; ++i) {
    std::string name(in.text());
    entry.xattrs.push_back({std::move(name), std::string(in.text())});
  }
  if ((word >> 9 & 1) != 0) entry.content = in.digest();
  return entry;
}

}  // namespace

std::strong_ordering compare_paths(std::string_view a, std::string_view b) {
  const size_t at = common_prefix(a, b);
  if (at == a.size() || at == b.size()) return a.size() <=> b.size();
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
  return rank(a[at]) <=> rank(b[at]);
}

void hash_entry(Hasher& hasher, const Entry& entry, std::string_view relative_path) {
  WireWriter out;
  out.text(relative_path).number(entry.type).number(entry.mode);
  out.number(entry.uid).number(entry.gid).number(entry.size).text(entry.link_target);
  out.number(entry.dev_major).number(entry.dev_minor);
  for (const auto& xattr : entry.xattrs) {
    if (counts(xattr)) out.text(xattr.name).text(xattr.value);
  }
  // Ends the xattrs: no name is empty.
  out.text("").digest(entry.content);
  hasher.update(out.str());
}

LayerIndex::LayerIndex(std::vector<Entry> entries) : entries_(std::move(entries)) {
  for (auto& entry : entries_) normalise(entry);
  if (!std::is_sorted(entries_.begin(), entries_.end(), before)) sort_stably(entries_);
  // Of equal paths the last one stays: unique() on the reversed sequence keeps what it meets first.
  const auto same = [](const Entry& a, const Entry& b) { return a.path == b.path; };
  const auto kept = std::unique(entries_.rbegin(), entries_.rend(), same);
  entries_.erase(entries_.begin(), kept.base());
  if (!link_subtrees()) {
    add_missing_parents();
    link_subtrees();
  }
  number_hardlinks();
}

bool LayerIndex::link_subtrees() {
  ends_.assign(entries_.size(), 0);
  std::vector<uint32_t> open;  // the directories around position i
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    const std::string& path = entries_[i].path;
    while (!open.empty() && !is_below(path, entries_[open.back()].path)) {
      ends_[open.back()] = i;
      open.pop_back();
    }
    const std::string_view parent = parent_of(path);
    if (open.empty() ? !parent.empty() : entries_[open.back()].path != parent) return false;
    if (!open.empty() && entries_[open.back()].type != EntryType::directory) {
      throw Error("a layer holds " + quoted(path) + " below something that is not a directory",
                  ErrorKind::corrupt);
    }
    open.push_back(i);
  }
  for (const uint32_t i : open) ends_[i] = static_cast<uint32_t>(entries_.size());
  return true;
}

void LayerIndex::add_missing_parents() {
  std::vector<Entry> parents;
  std::string_view previous;
  for (const auto& entry : entries_) {
    for (auto dir = parent_of(entry.path); !dir.empty() && !is_below(previous, dir);
         dir = parent_of(dir)) {
      if (!find(dir)) {
        Entry parent;
        parent.path = dir;
        parent.type = EntryType::directory;
        parent.mode = 0755;
        parents.push_back(std::move(parent));
      }
    }
    previous = entry.path;
  }
  entries_.insert(entries_.end(), std::make_move_iterator(parents.begin()),
                  std::make_move_iterator(parents.end()));
  std::sort(entries_.begin(), entries_.end(), before);
}

void LayerIndex::number_hardlinks() {
  std::unordered_map<uint32_t, std::pair<size_t, uint32_t>> groups;  // old: count, new number
  for (const auto& entry : entries_) {
    if (entry.hardlink_group != 0) ++groups[entry.hardlink_group].first;
  }
  if (groups.empty()) return;
  uint32_t next = 1;
  for (auto& entry : entries_) {
    if (entry.hardlink_group == 0) continue;
    auto& [count, number] = groups[entry.hardlink_group];
    if (count > 1 && number == 0) number = next++;
    entry.hardlink_group = number;
  }
}

size_t LayerIndex::position(std::string_view path) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), path,
                                   [](const Entry& entry, std::string_view wanted) {
                                     return compare_paths(entry.path, wanted) < 0;
                                   });
  return static_cast<size_t>(at - entries_.begin());
}

const Entry* LayerIndex::find(std::string_view path) const {
  const size_t at = position(path);
  return at < entries_.size() && entries_[at].path == path ? &entries_[at] : nullptr;
}

bool LayerIndex::hashed() const {
  return std::none_of(entries_.begin(), entries_.end(), [](const Entry& entry) {
    return entry.type == EntryType::regular && entry.content.empty();
  });
}

Digest LayerIndex::content_digest() const {
  if (!hashed()) throw Error("the content digest of a layer needs all its files hashed");
  Hasher hasher;
  hasher.update(WireWriter().text("lade-layer-content 1").number(entries_.size()).str());
  for (const auto& entry : entries_) {
    hash_entry(hasher, entry, entry.path);
    hasher.update(WireWriter().number(entry.opaque).number(entry.hardlink_group).str());
  }
  return hasher.finish();
}

uint64_t LayerIndex::total_size() const {
  uint64_t total = 0;
  uint32_t last_group = 0;  // groups are numbered in order of their first members
  for (const auto& entry : entries_) {
    if (entry.hardlink_group > last_group) {
      last_group = entry.hardlink_group;
    } else if (entry.hardlink_group != 0) {
      continue;
    }
    total += entry.size;
  }
  return total;
}

std::string LayerIndex::serialize() const {
  WireWriter out;
  out.text(kMagic).list(entries_, write_entry);
  return out.take();
}

LayerIndex LayerIndex::parse(std::string_view bytes) {
  return with_context("layer index", [&] {
    WireReader in(bytes);
    if (in.text() != kMagic) throw Error("unknown format", ErrorKind::corrupt);
    std::vector<Entry> entries;
    const size_t count = in.count();
    // An entry takes at least 72 bytes, which bounds what a false count may reserve.
    entries.reserve(std::min(count, bytes.size() / 72));
    for (size_t i = 0; i < count; ++i) {
      entries.push_back(read_entry(in));
      if (i > 0 && !before(entries[i - 1], entries[i])) {
        throw Error("its paths are not sorted", ErrorKind::corrupt);
      }
    }
    if (!in.at_end()) throw Error("there are bytes after its end", ErrorKind::corrupt);
    return LayerIndex(std::move(entries));
  });
}

}  // namespace lade
