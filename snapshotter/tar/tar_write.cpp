// Encoding of layer tars. The bytes are what cache and registries compare, so everything here is
// deterministic: libarchive's "pax" format adds records only where ustar cannot hold a value, names
// its extended headers after the entry alone, and nothing else of this machine or moment goes in.

#include <algorithm>
#include <array>
#include <exception>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "base/holes.hpp"
#include "base/sys.hpp"
#include "snapshotter/tar/archive_handle.hpp"
#include "snapshotter/tar/tar.hpp"
#include "snapshotter/tree/overlay_xattrs.hpp"

namespace lade {
namespace {

constexpr size_t kWriteBuffer = 256 * 1024;

class TarWriter {
 public:
  TarWriter(const OpenContent& open, ByteSink& out, const TarOptions& options)
      : open_(open), out_(out), options_(options), archive_(archive_write_new()) {
    if (!archive_ || !entry_) throw std::bad_alloc();
    buffer_.reserve(kWriteBuffer);
    check(archive_write_set_format_pax(archive_.get()));
    // Without this, each xattr is written twice, once in libarchive's own encoding.
    check(archive_write_set_format_option(archive_.get(), "pax", "xattrheader", "SCHILY"));
    check(archive_write_set_bytes_per_block(archive_.get(), 0));
    check(archive_write_open2(archive_.get(), this, nullptr, on_write, nullptr, nullptr));
  }

  ~TarWriter() { closed_ = true; }
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  void add(const Entry& entry) {
    const auto first = entry.hardlink_group == 0
                           ? first_of_group_.end()
                           : first_of_group_.try_emplace(entry.hardlink_group, entry.path).first;
    const bool is_link = first != first_of_group_.end() && first->second != entry.path;
    // The root goes by the name that GNU tar gives it.
    begin(entry.path.empty() ? "." : entry.path, entry);
    if (is_link) {
      archive_entry_set_hardlink(entry_.get(), first->second.c_str());
    } else if (entry.type == EntryType::regular) {
      archive_entry_set_size(entry_.get(), static_cast<la_int64_t>(entry.size));
    }
    // A link carries its file's attributes too: readers that apply them again (containerd chowns,
    // which drops capabilities) end up with the same file.
    for (const auto& xattr : entry.xattrs) add_xattr(entry, xattr);
    header(entry.path);
    if (!is_link && entry.type == EntryType::regular) data(entry);
  }

  /// An empty file of that name: a whiteout or an opaque marker.
  void add_marker(const std::string& path) {
    Entry marker;
    marker.path = path;
    begin(path, marker);
    header(path);
  }

  void finish() {
    check(archive_write_close(archive_.get()));
    flush();
  }

 private:
  static la_ssize_t on_write(archive*, void* self, const void* bytes, size_t size) {
    return static_cast<TarWriter*>(self)->take({static_cast<const char*>(bytes), size});
  }

  /// libarchive is C: what the sink throws waits here for check(). libarchive itself never hears of
  /// it, as it would leak its buffers then; and what it writes while it is taken down goes nowhere.
  la_ssize_t take(std::string_view bytes) {
    if (closed_ || failure_) return static_cast<la_ssize_t>(bytes.size());
    try {
      buffer_ += bytes;
      if (buffer_.size() >= kWriteBuffer) flush();
    } catch (...) {
      failure_ = std::current_exception();
    }
    return static_cast<la_ssize_t>(bytes.size());
  }

  void flush() {
    out_.write(buffer_);
    buffer_.clear();
  }

  void check(int result) {
    if (failure_) std::rethrow_exception(failure_);
    // A warning says that a name is not ASCII and is kept as bytes.
    if (result < ARCHIVE_WARN)
      throw Error("could not write a tar: " + archive_message(archive_.get()));
  }

  void begin(const std::string& path, const Entry& entry) {
    archive_entry_clear(entry_.get());
    archive_entry_set_pathname(entry_.get(), path.c_str());
    archive_entry_set_size(entry_.get(), 0);
    archive_entry_set_perm(entry_.get(), static_cast<__LA_MODE_T>(entry.mode));
    archive_entry_set_uid(entry_.get(), entry.uid);
    archive_entry_set_gid(entry_.get(), entry.gid);
    Timestamp time{entry.mtime_sec, static_cast<int32_t>(entry.mtime_nsec)};
    if (options_.clamp_mtime && *options_.clamp_mtime < time) time = *options_.clamp_mtime;
    set_mtime(time);
    archive_entry_set_filetype(entry_.get(), file_type(entry));
    if (entry.type == EntryType::symlink) {
      archive_entry_set_symlink(entry_.get(), entry.link_target.c_str());
    }
    if (entry.type == EntryType::char_device || entry.type == EntryType::block_device) {
      archive_entry_set_rdevmajor(entry_.get(), entry.dev_major);
      archive_entry_set_rdevminor(entry_.get(), entry.dev_minor);
    }
  }

  /// libarchive prints seconds and nanoseconds side by side, which for times before 1970 is another
  /// decimal fraction: -1.5 s is {-2 s, 500 ms} here, but has to be printed as 1 and 5. It cannot
  /// print "-0.5".
  void set_mtime(Timestamp time) {
    if (time.seconds == -1) time.nanoseconds = 0;
    if (time.seconds < 0 && time.nanoseconds > 0) {
      time = {time.seconds + 1, 1'000'000'000 - time.nanoseconds};
    }
    archive_entry_set_mtime(entry_.get(), time.seconds, time.nanoseconds);
  }

  static unsigned file_type(const Entry& entry) {
    switch (entry.type) {
      case EntryType::directory:
        return AE_IFDIR;
      case EntryType::symlink:
        return AE_IFLNK;
      case EntryType::char_device:
        return AE_IFCHR;
      case EntryType::block_device:
        return AE_IFBLK;
      case EntryType::fifo:
        return AE_IFIFO;
      case EntryType::regular:
      case EntryType::socket:
      case EntryType::whiteout:
        break;
    }
    return AE_IFREG;
  }

  void add_xattr(const Entry& entry, const sys::Xattr& xattr) {
    // A PAX keyword ends at '='; libarchive would write other unusual bytes as %XX, which nobody
    // reads back.
    for (const char c : xattr.name) {
      if (c <= ' ' || c > '~' || c == '%' || c == '=') {
        throw Error(fmt::format("extended attribute {} of {} has a name that no tar can hold",
                                quoted(xattr.name), quoted(entry.path)));
      }
    }
    if (is_overlay_xattr(xattr.name)) return;
    archive_entry_xattr_add_entry(entry_.get(), xattr.name.c_str(), xattr.value.data(),
                                  xattr.value.size());
  }

  void header(const std::string& path) {
    with_context([&] { return quoted(path); },
                 [&] { check(archive_write_header(archive_.get(), entry_.get())); });
  }

  void data(const Entry& entry) {
    if (entry.size == 0) return;
    const UniqueFd fd = open_(entry);
    Holes holes(fd.get());
    std::vector<char> chunk(std::min<uint64_t>(entry.size, kWriteBuffer));
    for (uint64_t at = 0; at < entry.size;) {
      if (const uint64_t hole = std::min(holes.skip(at), entry.size - at); hole > 0) {
        zeros(hole);
        at += hole;
        continue;
      }
      const size_t wanted = std::min<uint64_t>(entry.size - at, chunk.size());
      const size_t count = sys::read_some(fd.get(), chunk.data(), holes.limit(at, wanted));
      if (count == 0) {
        throw Error(quoted(entry.path) + " is shorter than its layer says", ErrorKind::corrupt);
      }
      write_data({chunk.data(), count});
      at += count;
    }
  }

  void write_data(std::string_view bytes) {
    const auto written = archive_write_data(archive_.get(), bytes.data(), bytes.size());
    check(written < 0 ? static_cast<int>(written) : ARCHIVE_OK);
  }

  /// What a hole reads as: a tar of this kind has no word for one.
  void zeros(uint64_t count) {
    static constexpr std::array<char, kWriteBuffer> none = {};
    while (count > 0) {
      const uint64_t size = std::min<uint64_t>(count, none.size());
      write_data({none.data(), size});
      count -= size;
    }
  }

  const OpenContent& open_;
  ByteSink& out_;
  const TarOptions& options_;
  const PlainLocale locale_;
  std::string buffer_;
  std::exception_ptr failure_;
  bool closed_ = false;
  ArchiveEntry entry_{archive_entry_new()};
  std::unordered_map<uint32_t, std::string> first_of_group_;
  WriteArchive archive_;  // last: closing it still calls on_write
};

std::string marker_path(std::string_view path, std::string_view prefix) {
  const size_t slash = path.rfind('/');
  const size_t name = slash == std::string_view::npos ? 0 : slash + 1;
  return std::string(path.substr(0, name)).append(prefix).append(path.substr(name));
}

}  // namespace

void refuse_marker_name(const Entry& entry) {
  const size_t slash = entry.path.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash + 1;
  if (!std::string_view(entry.path).substr(name).starts_with(kWhiteoutPrefix)) return;
  Error error(fmt::format("{} cannot be in a layer: names with '.wh.' stand for deletions there",
                          quoted("/" + entry.path)));
  error.set_hint("rename or remove it in the step that makes it");
  throw error;
}

void write_layer_tar(const LayerIndex& index, const OpenContent& open, ByteSink& out,
                     const TarOptions& options) {
  TarWriter writer(open, out, options);
  for (const auto& entry : index.entries()) {
    if (entry.type == EntryType::socket) continue;
    refuse_marker_name(entry);
    if (entry.type == EntryType::whiteout) {
      writer.add_marker(marker_path(entry.path, kWhiteoutPrefix));
      continue;
    }
    writer.add(entry);
    // Before what is in the directory: some readers empty it when they meet the marker.
    if (entry.opaque) {
      writer.add_marker(entry.path.empty() ? std::string(kOpaqueMarker)
                                           : entry.path + "/" + std::string(kOpaqueMarker));
    }
  }
  writer.finish();
}

void write_rootfs_tar(const std::vector<Entry>& entries, const OpenContent& open, ByteSink& out,
                      const TarOptions& options) {
  TarWriter writer(open, out, options);
  for (const auto& entry : entries) {
    if (entry.type != EntryType::socket && entry.type != EntryType::whiteout) writer.add(entry);
  }
  writer.finish();
}

}  // namespace lade
