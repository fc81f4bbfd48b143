#include "snapshotter/content/content_store.hpp"

#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/abrupt_end.hpp"
#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

/// Writers often give a tar header at a time; below this size their bytes are gathered first.
constexpr size_t kBufferSize = 128 * 1024;

/// A new file that is locked: that says that its owner lives, as what a killed process leaves is
/// swept (LayerStore). A sweep that came between making and locking has the lock until it has taken
/// the file away: then another one is made.
UniqueFd open_locked(const std::string& path) {
  for (;;) {
    UniqueFd fd = sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    lock_file(fd.get(), LOCK_EX, quoted(path));
    const auto there = sys::lstatat(AT_FDCWD, path);
    if (there && there->st_ino == sys::fstat(fd.get()).st_ino) return fd;
  }
}

class FileIngest : public Ingest {
 public:
  FileIngest(const std::string& tmp_dir, std::string blob_dir)
      : path_(fmt::format("{}/ingest-{}", tmp_dir, sys::random_hex(8))),
        blob_dir_(std::move(blob_dir)),
        at_risk_(path_),
        fd_(open_locked(path_)) {}

  ~FileIngest() override {
    if (!committed_) ::unlink(path_.c_str());
  }

  void write(std::string_view bytes) override {
    hasher_.update(bytes);
    size_ += bytes.size();
    if (buffer_.size() + bytes.size() > kBufferSize) flush();
    if (bytes.size() >= kBufferSize) {
      write_out(bytes);
    } else {
      buffer_ += bytes;
    }
  }

  Descriptor commit(const Descriptor* expected) override {
    flush();
    Descriptor out;
    out.digest = hasher_.finish();
    out.size = size_;
    if (expected && (expected->digest != out.digest || expected->size != out.size)) {
      throw Error(fmt::format("expected the blob {} of {} bytes, got {} of {} bytes",
                              expected->digest.str(), expected->size, out.digest.str(), out.size),
                  ErrorKind::corrupt);
    }
    // Closing may report a write that failed late (disk full on network filesystems). The lock,
    // which tells a sweep of another process that this file is ours, goes with the last descriptor.
    with_context([&] { return "could not store a blob in " + quoted(blob_dir_); },
                 [&] {
                   const UniqueFd lock(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
                   if (!lock) throw_errno("could not duplicate a descriptor");
                   fd_.close();
                   sys::renameat(AT_FDCWD, path_, AT_FDCWD, blob_dir_ + "/" + out.digest.hex());
                 });
    committed_ = true;
    return out;
  }

 private:
  void flush() {
    write_out(buffer_);
    buffer_.clear();
  }

  void write_out(std::string_view bytes) {
    with_context([&] { return "could not write " + quoted(path_); },
                 [&] { sys::write_all(fd_.get(), bytes); });
  }

  std::string path_;
  std::string blob_dir_;
  TemporaryAtRisk at_risk_;  // it may be gigabytes
  UniqueFd fd_;
  Hasher hasher_;
  std::string buffer_;
  uint64_t size_ = 0;
  bool committed_ = false;
};

/// Keeps no state but its paths: the filesystem's renames make it safe between threads and
/// processes.
class FileContentStore : public ContentStore {
 public:
  explicit FileContentStore(const std::string& root)
      : blob_dir_(root + "/blobs/sha256"), tmp_dir_(root + "/tmp") {
    sys::make_dirs(blob_dir_, 0700);
    sys::make_dirs(tmp_dir_, 0700);
  }

  bool has(const Digest& digest) const override { return size(digest).has_value(); }

  std::optional<uint64_t> size(const Digest& digest) const override {
    const auto info = sys::lstatat(AT_FDCWD, path(digest));
    if (!info || !S_ISREG(info->st_mode)) return std::nullopt;
    return static_cast<uint64_t>(info->st_size);
  }

  std::optional<UniqueFd> open_blob(const Digest& digest) const override {
    return sys::try_openat(AT_FDCWD, path(digest), O_RDONLY | O_NOFOLLOW);
  }

  std::string read_blob(const Digest& digest, uint64_t limit) const override {
    auto fd = open_blob(digest);
    if (!fd) throw Error("there is no blob " + digest.str(), ErrorKind::not_found);
    FdSource source(std::move(*fd));
    std::string bytes = read_all(source, limit, "blob " + quoted(path(digest)));
    if (Digest::of(bytes) != digest) {
      throw Error(
          fmt::format("the blob {} does not have the digest of its name", quoted(path(digest))),
          ErrorKind::corrupt);
    }
    return bytes;
  }

  std::string path(const Digest& digest) const override { return blob_dir_ + "/" + digest.hex(); }

  std::unique_ptr<Ingest> ingest() override {
    return std::make_unique<FileIngest>(tmp_dir_, blob_dir_);
  }

  void remove(const Digest& digest) override {
    if (::unlink(path(digest).c_str()) != 0 && errno != ENOENT) {
      throw_errno("could not remove " + quoted(path(digest)));
    }
  }

 private:
  std::string blob_dir_;
  std::string tmp_dir_;
};

class LocalBlobs : public BlobProvider {
 public:
  explicit LocalBlobs(ContentStore& content) : content_(content) {}
  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override {
    auto fd = content_.open_blob(descriptor.digest);
    if (!fd) {
      throw Error("blob " + descriptor.digest.str() + " is not in the content store",
                  ErrorKind::not_found);
    }
    return std::make_unique<FdSource>(std::move(*fd));
  }
  std::string where() const override { return "the content store"; }

 private:
  ContentStore& content_;
};

}  // namespace

std::unique_ptr<ContentStore> ContentStore::open(const std::string& root) {
  return std::make_unique<FileContentStore>(root);
}

Descriptor ContentStore::put(std::string_view bytes, std::string_view media_type) {
  const auto target = ingest();
  target->write(bytes);
  Descriptor out = target->commit();
  out.media_type = media_type;
  return out;
}

bool ContentStore::remove_if_damaged(const Digest& digest) {
  auto fd = open_blob(digest);
  if (!fd) return true;
  FdSource bytes(std::move(*fd));
  HashSink hash;
  copy_stream(bytes, hash);
  if (hash.digest() == digest) return false;
  remove(digest);
  return true;
}

std::shared_ptr<BlobProvider> local_blobs(ContentStore& content) {
  return std::make_shared<LocalBlobs>(content);
}

}  // namespace lade
