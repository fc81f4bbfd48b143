// Decoding of tars into the directory form and the index of a layer, in one pass.
//
// The directory is empty at the start and ours alone, so the table of what has been made is the
// truth about it: every question (is the parent a directory? what does this entry replace? is that
// a link's target?) is answered there. The kernel's own refusal to follow symlinks (TreeWriter)
// stands behind it.

#include <algorithm>
#include <exception>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/tar/archive_handle.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/overlay_xattrs.hpp"
#include "snapshotter/tree/tree_writer.hpp"

namespace lade {
namespace {

constexpr size_t kReadBuffer = 256 * 1024;
constexpr size_t kMaxPath = 4095;  // PATH_MAX without its NUL
constexpr size_t kMaxEntries = 10'000'000;
/// Bytes of holes that a layer's sparse files may have in all: they cost no input, but time to
/// hash.
constexpr uint64_t kMaxHoles = uint64_t{64} << 30;

Error corrupt(std::string message) {
  return Error(std::move(message), ErrorKind::corrupt);
}

/// The ustar header of a symlink "x -> x".
std::string symlink_header() {
  std::string block(512, '\0');
  const auto put = [&](size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, "x");
  put(100, "0000777");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000000");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "2x");
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + '\0');
  return block;
}

/// libarchive reading from a ByteSource.
///
/// It is shown a symlink of ours first. libarchive 3.6 loses a link's PAX target if the ustar field
/// beside it is empty (as Go writes targets without an ASCII letter), unless it has met a link
/// before.
class TarReader {
 public:
  explicit TarReader(ByteSource& source)
      : source_(source),
        primer_(symlink_header()),
        buffer_(kReadBuffer),
        archive_(archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    check(archive_read_support_format_tar(archive_.get()));
    check(archive_read_open2(archive_.get(), this, nullptr, on_read, nullptr, nullptr));
    next();
  }

  /// The next entry, valid until the next call; null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(archive_.get(), &entry);
    if (result == ARCHIVE_EOF) return nullptr;
    check(result);
    return entry;
  }

  /// The next run of an entry's data at its offset; false at the end.
  bool block(std::string_view& bytes, uint64_t& offset) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t at = 0;
    const int result = archive_read_data_block(archive_.get(), &data, &size, &at);
    if (result == ARCHIVE_EOF) return false;
    check(result);
    bytes = {static_cast<const char*>(data), size};
    offset = static_cast<uint64_t>(at);
    return true;
  }

  /// What is after the end mark belongs to the stream, and to its digest.
  void drain() { lade::drain(source_); }
  /// Of a stream that has no digest, where junk behind the archive harms nobody.
  void drain_leniently() {
    try {
      drain();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
    }
  }

 private:
  static la_ssize_t on_read(archive*, void* self, const void** bytes) {
    return static_cast<TarReader*>(self)->fill(bytes);
  }

  la_ssize_t fill(const void** bytes) {
    try {
      *bytes = std::exchange(primed_, true) ? buffer_.data() : primer_.data();
      if (*bytes == primer_.data()) return static_cast<la_ssize_t>(primer_.size());
      return static_cast<la_ssize_t>(source_.read(buffer_.data(), buffer_.size()));
    } catch (...) {
      failure_ = std::current_exception();
      archive_set_error(archive_.get(), EIO, "could not read");
      return -1;
    }
  }

  void check(int result) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    // Warnings are about names that are not ASCII (kept as bytes) and records nobody needs.
    // A header whose checksum is wrong is ARCHIVE_RETRY.
    if (result < ARCHIVE_WARN || result == ARCHIVE_RETRY)
      throw corrupt("bad tar: " + archive_message(archive_.get()));
  }

  ByteSource& source_;
  const PlainLocale locale_;
  const std::string primer_;
  bool primed_ = false;
  std::vector<char> buffer_;
  std::exception_ptr failure_;
  ReadArchive archive_;
};

/// "./usr//bin/" -> "usr/bin"; "" and none are the root. Leading slashes go, as all tar readers
/// have it.
std::string clean_name(const char* raw) {
  if (!raw) return {};  // a name of no bytes
  const std::string_view name = raw;
  if (name.size() > kMaxPath) throw corrupt("bad tar: a name is longer than 4095 bytes");
  std::string out;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (out.empty()) throw corrupt("bad tar: the name " + quoted(name) + " leaves its directory");
      out.resize(parent_of(out).size());
      continue;
    }
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

class Extraction {
 public:
  Extraction(ByteSource& tar, int dir, TarDialect dialect, bool userxattr)
      : reader_(tar), writer_(dir, userxattr), dialect_(dialect) {}

  LayerIndex run(ExtractionNotes* notes) {
    notes_ = notes;
    size_t count = 0;
    while (archive_entry* header = reader_.next()) {
      if (++count > kMaxEntries) throw corrupt("bad tar: more than 10 million entries");
      const std::string name = clean_name(archive_entry_pathname(header));
      const std::string path =
          with_context([&] { return quoted("/" + name); }, [&] { return resolve(name); });
      with_context([&] { return quoted("/" + path); }, [&] { take(path, header); });
    }
    if (dialect_ == TarDialect::plain) {
      reader_.drain_leniently();
    } else {
      reader_.drain();
    }
    std::vector<Entry> entries;
    entries.reserve(table_.size());
    for (auto& [path, item] : table_) {
      if (item.entry.type == EntryType::directory) {
        write(item.entry, [&](Entry& entry) { writer_.finish_directory(entry); });
      }
      if (notes && item.implied) notes->implied.push_back(path);
      entries.push_back(std::move(item.entry));
    }
    if (notes) notes->without_room = std::move(without_room_);
    return LayerIndex(std::move(entries));
  }

 private:
  struct Item {
    Entry entry;
    bool hides_lower = false;  // a whiteout of this name was met
    bool implied = false;      // a directory that no entry of the tar names itself
  };
  struct PathLess {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const {
      return compare_paths(a, b) < 0;
    }
  };
  using Table = std::map<std::string, Item, PathLess>;

  /// Where an entry of that name goes: through the symlinks that the archive has made so far, as if
  /// it were unpacked with the directory as the root ("lib -> usr/lib", then "lib/f"). The last
  /// part is not followed: the entry replaces what has its name.
  std::string resolve(const std::string& path) {
    const std::string_view parent = parent_of(path);
    if (parent.empty() || !has_symlinks_) return path;
    // Most entries follow one of the same directory.
    if (parent != asked_parent_) {
      found_parent_ = resolve_directory(parent);
      asked_parent_ = parent;
    }
    const std::string name = path.substr(parent.size() + 1);
    return found_parent_.empty() ? name : found_parent_ + "/" + name;
  }

  std::string resolve_directory(std::string_view path) const {
    constexpr int kMaxLinks = 40;   // as the kernel's
    std::vector<std::string> left;  // parts still to be walked, the next one last
    const auto walk_first = [&left](std::string_view parts) {
      auto words = split(parts, '/');
      left.insert(left.end(), std::make_move_iterator(words.rbegin()),
                  std::make_move_iterator(words.rend()));
    };
    walk_first(path);
    std::string done;
    for (int links = 0; !left.empty();) {
      const std::string part = std::move(left.back());
      left.pop_back();
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        done.resize(parent_of(done).size());  // of the top it is the top
        continue;
      }
      std::string next = done.empty() ? part : done + "/" + part;
      const auto at = table_.find(next);
      if (at == table_.end() || at->second.entry.type != EntryType::symlink) {
        done = std::move(next);
        if (done.size() > kMaxPath) throw corrupt("bad tar: a name is longer than 4095 bytes");
        continue;
      }
      if (++links > kMaxLinks) throw corrupt("bad tar: its symlinks lead nowhere");
      const std::string& target = at->second.entry.link_target;
      if (target.starts_with('/')) done.clear();
      walk_first(target);
    }
    return done;
  }

  void take(const std::string& path, archive_entry* header) {
    // No name, or "." of a file: containerd and Docker leave such members out, too.
    if (path.empty() && archive_entry_filetype(header) != AE_IFDIR) return;
    if (dialect_ == TarDialect::layer && take_marker(path)) return;
    if (const char* target = archive_entry_hardlink(header)) {
      add_link(path, resolve(clean_name(target)), header);
      return;
    }
    Entry entry = describe(path, header);
    if (entry.type == EntryType::directory) {
      add_directory(std::move(entry));
      return;
    }
    Item& item = make_room(path);
    if (entry.type == EntryType::regular) {
      extract_file(entry);
    } else {
      write(entry, [&](Entry& made) { writer_.make(made); });
      has_symlinks_ = has_symlinks_ || entry.type == EntryType::symlink;
    }
    item.entry = std::move(entry);
  }

  /// Whiteouts (image-spec, layer.md): they hide what is below this layer, never what is in it,
  /// wherever in the tar they are.
  bool take_marker(const std::string& path) {
    const std::string_view dir = parent_of(path);
    const std::string_view name = std::string_view(path).substr(dir.empty() ? 0 : dir.size() + 1);
    if (!name.starts_with(kWhiteoutPrefix)) return false;
    if (name == kOpaqueMarker) {
      need_directory(dir).entry.opaque = true;
      return true;
    }
    const std::string_view hidden = name.substr(kWhiteoutPrefix.size());
    if (hidden.starts_with(kWhiteoutPrefix)) return true;  // AUFS's own files
    if (hidden.empty() || hidden == "." || hidden == "..") throw corrupt("bad tar: a bad whiteout");
    if (!dir.empty()) need_directory(dir);
    const auto [at, is_new] =
        table_.try_emplace(dir.empty() ? std::string(hidden) : fmt::format("{}/{}", dir, hidden));
    Item& item = at->second;
    item.hides_lower = true;
    if (is_new) {
      item.entry.path = at->first;
      item.entry.type = EntryType::whiteout;
      writer_.make(item.entry);
    } else if (item.entry.type == EntryType::directory) {
      item.entry.opaque = true;
    }
    return true;
  }

  /// The entry of a tar's header, checked.
  Entry describe(const std::string& path, archive_entry* header) {
    Entry entry;
    entry.path = path;
    entry.type = type_of(header);
    entry.mode = entry.type == EntryType::symlink ? 0777 : archive_entry_perm(header) & 07777;
    entry.uid = owner(archive_entry_uid(header));
    entry.gid = owner(archive_entry_gid(header));
    entry.mtime_sec = archive_entry_mtime(header);
    entry.mtime_nsec = static_cast<uint32_t>(archive_entry_mtime_nsec(header));
    if (entry.mtime_nsec >= 1'000'000'000) throw corrupt("bad tar: a bad time");
    // libarchive reads "-1.5" as {-1 s, 500 ms}, which would be -0.5.
    if (entry.mtime_sec < 0 && entry.mtime_nsec > 0) {
      --entry.mtime_sec;
      entry.mtime_nsec = 1'000'000'000 - entry.mtime_nsec;
    }
    if (entry.type == EntryType::regular) {
      if (archive_entry_size(header) < 0) throw corrupt("bad tar: a negative size");
      entry.size = static_cast<uint64_t>(archive_entry_size(header));
    } else if (entry.type == EntryType::symlink) {
      const char* target = archive_entry_symlink(header);
      entry.link_target = target ? target : "";
      if (entry.link_target.empty() || entry.link_target.size() > kMaxPath) {
        throw corrupt("bad tar: a bad symlink target");
      }
    } else if (entry.type == EntryType::char_device || entry.type == EntryType::block_device) {
      entry.dev_major = static_cast<uint32_t>(archive_entry_rdevmajor(header));
      entry.dev_minor = static_cast<uint32_t>(archive_entry_rdevminor(header));
      // An overlay would take it for a deletion.
      if (entry.type == EntryType::char_device && entry.dev_major == 0 && entry.dev_minor == 0) {
        throw corrupt("bad tar: character device 0:0 is reserved for overlayfs");
      }
    }
    read_xattrs(entry, header);
    return entry;
  }

  static EntryType type_of(archive_entry* header) {
    switch (archive_entry_filetype(header)) {
      case AE_IFREG:
        return EntryType::regular;
      case AE_IFDIR:
        return EntryType::directory;
      case AE_IFLNK:
        return EntryType::symlink;
      case AE_IFCHR:
        return EntryType::char_device;
      case AE_IFBLK:
        return EntryType::block_device;
      case AE_IFIFO:
        return EntryType::fifo;
      default:
        throw corrupt("bad tar: an entry of unknown type");
    }
  }

  static uint32_t owner(la_int64_t id) {
    // -1 means "unchanged" to chown.
    if (id < 0 || id >= UINT32_MAX) throw corrupt("bad tar: an owner out of range");
    return static_cast<uint32_t>(id);
  }

  static void read_xattrs(Entry& entry, archive_entry* header) {
    for (int left = archive_entry_xattr_reset(header); left > 0; --left) {
      const char* name = nullptr;
      const void* value = nullptr;
      size_t size = 0;
      if (archive_entry_xattr_next(header, &name, &value, &size) != ARCHIVE_OK || !name) break;
      if (is_overlay_xattr(name)) {
        throw corrupt(fmt::format("bad tar: extended attribute {} is reserved", quoted(name)));
      }
      if (is_host_xattr(name)) continue;
      entry.xattrs.push_back({name, std::string(static_cast<const char*>(value), size)});
    }
    // A writer may have given each one twice, in both of the usual encodings.
    std::sort(entry.xattrs.begin(), entry.xattrs.end());
    const auto same = [](const auto& a, const auto& b) { return a.name == b.name; };
    entry.xattrs.erase(std::unique(entry.xattrs.begin(), entry.xattrs.end(), same),
                       entry.xattrs.end());
  }

  /// The directory `path`, made if the tar has left it out.
  Item& need_directory(std::string_view path) {
    auto at = table_.find(path);
    if (at != table_.end() && at->second.entry.type != EntryType::whiteout) {
      if (at->second.entry.type != EntryType::directory) {
        throw corrupt(
            fmt::format("bad tar: {} is not a directory", quoted(fmt::format("/{}", path))));
      }
      return at->second;
    }
    Entry entry;
    entry.path = path;
    entry.type = EntryType::directory;
    entry.mode = 0755;
    Item& made = add_directory(std::move(entry));
    made.implied = true;
    return made;
  }

  Item& add_directory(Entry entry) {
    if (entry.path.empty()) {
      Item& root = table_[""];
      entry.opaque = root.entry.opaque;
      root.entry = std::move(entry);
      root.implied = false;
      return root;
    }
    const auto at = table_.find(entry.path);
    if (at != table_.end() && at->second.entry.type == EntryType::directory) {
      entry.opaque = at->second.entry.opaque;
      at->second.entry = std::move(entry);
      at->second.implied = false;
      return at->second;
    }
    Item& item = make_room(entry.path);
    writer_.make(entry);
    // Over a whiteout: what a lower layer has in a directory of that name stays hidden.
    entry.opaque = item.hides_lower;
    item.entry = std::move(entry);
    return item;
  }

  /// Makes the parents of `path` and removes what is there; the table's place for the new entry.
  Item& make_room(const std::string& path) {
    if (const auto parent = parent_of(path); !parent.empty()) need_directory(parent);
    forget_outward_link(path);
    const auto [at, is_new] = table_.try_emplace(path);
    asked_parent_.clear();  // what is made or removed here may be a symlink
    if (is_new) return at->second;
    writer_.remove(path);
    at->second.implied = false;
    auto below = std::next(at);
    while (below != table_.end() && below->first.size() > path.size() &&
           below->first[path.size()] == '/' && below->first.starts_with(path)) {
      below = table_.erase(below);
    }
    return at->second;
  }

  void add_link(const std::string& path, const std::string& target, archive_entry* header) {
    if (path == target) return;
    if (!table_.contains(target) && dialect_ == TarDialect::plain && notes_) {
      return add_outward_link(path, target, header);
    }
    const auto is_file = [](const Item& item) {
      return item.entry.type != EntryType::directory && item.entry.type != EntryType::whiteout;
    };
    // Looked up again after making room, which may have removed it.
    const bool there = table_.contains(target) && is_file(table_.find(target)->second);
    if (there) make_room(path);
    const auto at = table_.find(target);
    if (!there || at == table_.end()) {
      throw corrupt(fmt::format("bad tar: its hard link's target {} is not an earlier file",
                                quoted("/" + target)));
    }
    Entry& original = at->second.entry;
    writer_.link(target, path);
    if (original.hardlink_group == 0) original.hardlink_group = ++last_group_;
    Item& item = table_.find(path)->second;
    item.entry = original;
    item.entry.path = path;
  }

  void add_outward_link(const std::string& path, std::string target, archive_entry* header) {
    Entry attributes;
    attributes.mode = archive_entry_perm(header) & 07777;
    attributes.uid = owner(archive_entry_uid(header));
    attributes.gid = owner(archive_entry_gid(header));
    attributes.mtime_sec = archive_entry_mtime(header);
    // A link to such a link is one to what that leads to.
    for (const auto& link : notes_->outward_links) {
      if (link.path == target) target = link.target;
    }
    make_room(path);
    table_.erase(path);
    notes_->outward_links.push_back({path, std::move(target), std::move(attributes)});
  }

  /// Another entry of that name replaces it.
  void forget_outward_link(const std::string& path) {
    if (!notes_) return;
    std::erase_if(notes_->outward_links, [&](const OutwardLink& link) {
      return link.path == path || link.path.starts_with(path + "/");
    });
  }

  void extract_file(Entry& entry) {
    const UniqueFd fd = writer_.create_file(entry);
    Hasher hasher;
    uint64_t written = 0;
    std::string_view bytes;
    uint64_t offset = 0;
    while (reader_.block(bytes, offset)) {
      if (bytes.empty()) continue;
      if (offset < written || offset > entry.size || bytes.size() > entry.size - offset) {
        throw corrupt("bad tar: data out of place");
      }
      if (offset > written) skip(fd.get(), hasher, written, offset);
      hasher.update(bytes);
      sys::write_all(fd.get(), bytes);
      written = offset + bytes.size();
    }
    if (written < entry.size) {
      skip(fd.get(), hasher, written, entry.size);
      if (::ftruncate(fd.get(), static_cast<off_t>(entry.size)) != 0) {
        throw_errno("could not set the size of " + quoted(entry.path));
      }
    }
    entry.content = hasher.finish();
    write(entry, [&](Entry& made) { writer_.finish_file(fd.get(), made); });
  }

  /// Has `entry` written, which loses the xattrs that find no room.
  template <class Write>
  void write(Entry& entry, Write how) {
    if (entry.xattrs.empty()) return how(entry);
    Entry full = entry;
    how(entry);
    if (entry.xattrs != full.xattrs) without_room_.push_back(std::move(full));
  }

  /// A hole of a sparse file: hashed as the zeros it reads as, and left out on disk.
  void skip(int fd, Hasher& hasher, uint64_t from, uint64_t to) {
    static constexpr char kZeros[64 * 1024] = {};
    if (to - from > kMaxHoles - holes_) throw corrupt("bad tar: sparse files of absurd size");
    holes_ += to - from;
    for (uint64_t left = to - from; left > 0;) {
      const size_t size = std::min<uint64_t>(left, sizeof kZeros);
      hasher.update(kZeros, size);
      left -= size;
    }
    if (::lseek(fd, static_cast<off_t>(to), SEEK_SET) < 0) throw_errno("could not seek");
  }

  TarReader reader_;
  TreeWriter writer_;
  const TarDialect dialect_;
  ExtractionNotes* notes_ = nullptr;
  Table table_;
  uint32_t last_group_ = 0;
  uint64_t holes_ = 0;
  bool has_symlinks_ = false;
  std::string asked_parent_;  // as entries name it; empty: none
  std::string found_parent_;  // where it really is
  std::vector<Entry> without_room_;
};

}  // namespace

LayerIndex extract_tar(ByteSource& tar, int dir, TarDialect dialect, bool userxattr,
                       ExtractionNotes* notes) {
  return Extraction(tar, dir, dialect, userxattr).run(notes);
}

}  // namespace lade
