#include "exporter/cache_directory.hpp"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "exporter/image_documents.hpp"
#include "exporter/layout_directory.hpp"
#include "exporter/output_file.hpp"
#include "snapshotter/content/manifest.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxManifest = 4u << 20;

std::string blob_path(const std::string& directory, const Digest& digest) {
  return directory + "/blobs/sha256/" + digest.hex();
}

class DirectoryBlobs : public BlobProvider {
 public:
  explicit DirectoryBlobs(std::string directory) : directory_(std::move(directory)) {}

  std::unique_ptr<ByteSource> open(const Descriptor& blob) override {
    UniqueFd fd(::open(blob_path(directory_, blob.digest).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
      if (errno != ENOENT)
        throw_errno("could not open " + quoted(blob_path(directory_, blob.digest)));
      throw Error(fmt::format("{} has no blob {}", quoted(directory_), blob.digest.str()),
                  ErrorKind::not_found);
    }
    return std::make_unique<FdSource>(std::move(fd));
  }

  std::string where() const override { return "the cache directory " + directory_; }

 private:
  const std::string directory_;
};

class DirectoryCache : public CacheStorage {
 public:
  DirectoryCache(std::string directory, std::string name, std::optional<Digest> digest)
      : directory_(std::move(directory)), name_(std::move(name)), digest_(digest) {}

  std::shared_ptr<BlobProvider> blobs() override {
    return std::make_shared<DirectoryBlobs>(directory_);
  }

  std::optional<RemoteManifest> read_manifest() override {
    const auto entry = find_entry();
    if (!entry) return std::nullopt;
    auto bytes = sys::read_file(path_of(entry->digest), kMaxManifest);
    if (!bytes) {
      throw Error(fmt::format("{} has no manifest {}", quoted(directory_), entry->digest.str()),
                  ErrorKind::not_found);
    }
    if (Digest::of(*bytes) != entry->digest) {
      throw Error(fmt::format("{}: the manifest {} has other bytes than its digest says",
                              quoted(directory_), entry->digest.str()),
                  ErrorKind::corrupt);
    }
    return RemoteManifest{*entry, std::move(*bytes)};
  }

  bool has_blob(const Descriptor& blob) override {
    const auto present = sys::lstatat(AT_FDCWD, path_of(blob.digest));
    // One of another size is what an interrupted writer left.
    return present && S_ISREG(present->st_mode) &&
           static_cast<uint64_t>(present->st_size) == blob.size;
  }

  void write_blob(const Descriptor& blob, BlobProvider& source) override {
    check_layout(directory_);
    sys::make_dirs(directory_ + "/blobs/sha256", 0755);
    const auto bytes = source.open(blob);
    OutputFile out = OutputFile::create(path_of(blob.digest));
    HashSink hashed(&out);
    copy_stream(*bytes, hashed);
    if (hashed.size() != blob.size || hashed.digest() != blob.digest) {
      throw Error(
          fmt::format("the blob {} has other bytes than its digest says", blob.digest.str()),
          ErrorKind::corrupt);
    }
    out.commit();
  }

  void write_manifest(const Descriptor& manifest, std::string_view bytes) override {
    check_layout(directory_);
    sys::write_file_atomically(path_of(manifest.digest), bytes);
    Descriptor entry = manifest;
    entry.annotations[std::string(kRefNameAnnotation)] = name_;
    set_layout_entry(directory_, entry);
  }

 private:
  std::string path_of(const Digest& digest) const { return blob_path(directory_, digest); }

  bool is_asked_for(const Descriptor& entry) const {
    if (digest_) return entry.digest == *digest_;
    const auto at = entry.annotations.find(std::string(kRefNameAnnotation));
    return at != entry.annotations.end() && at->second == name_;
  }

  std::optional<Descriptor> find_entry() const {
    const std::string path = directory_ + "/index.json";
    const auto bytes = sys::read_file(path, kMaxManifest);
    if (bytes) {
      const Index index = with_context([&] { return quoted(path); },
                                       [&] { return Index::parse(*bytes, media_type::kOciIndex); });
      for (const auto& entry : index.manifests) {
        if (is_asked_for(entry)) return entry;
      }
    }
    if (!digest_) return std::nullopt;
    // An older one, that index.json has another one in the place of.
    Descriptor entry;
    entry.media_type = media_type::kOciManifest;
    entry.digest = *digest_;
    return entry;
  }

  const std::string directory_;
  const std::string name_;
  const std::optional<Digest> digest_;
};

}  // namespace

std::shared_ptr<CacheStorage> directory_cache(const std::string& directory, const std::string& name,
                                              std::optional<Digest> digest) {
  return std::make_shared<DirectoryCache>(directory, name, digest);
}

}  // namespace lade
