#include "snapshotter/images/image_archive.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/content/decompress.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/images/stored_image.hpp"
#include "snapshotter/tar/archive_handle.hpp"

namespace lade {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxDocument = 8u << 20;
constexpr uint64_t kMaxDocuments = 64u << 20;
constexpr size_t kMaxFiles = 200'000;
constexpr size_t kMaxName = 4096;
constexpr size_t kArchiveBuffer = 256 * 1024;
constexpr int kMaxArchiveLinks = 16;
constexpr std::string_view kBlobDir = "blobs/sha256/";
constexpr std::string_view kNameAnnotation = "io.containerd.image.name";
constexpr std::string_view kRefNameAnnotation = "org.opencontainers.image.ref.name";

[[noreturn]] void fail(const std::string& message) {
  throw Error(message, ErrorKind::corrupt);
}

/// A file of the archive that is in the content store now.
struct Kept {
  Digest digest;
  uint64_t size = 0;
  std::string start;  ///< enough to know its compression
};

/// Relative and clean; what would be outside the archive is refused.
std::string clean_name(const std::string& name) {
  if (name.size() > kMaxName) fail("a name is too long");
  const std::string clean = clean_path(name.starts_with('/') ? name.substr(1) : name);
  if (clean == ".." || clean.starts_with("../") || clean.starts_with('/')) {
    fail("the name " + lade::quoted(name) + " leaves the archive");
  }
  return clean;
}

/// What an archive holds, by path. Blobs that no image turns out to need are left to the garbage
/// collection: another process may have come to need them meanwhile.
class Contents {
 public:
  explicit Contents(ContentStore& content) : content_(content) {}

  /// Takes a regular file from `read`, which gives runs of its bytes until an empty one.
  void take(const std::string& path, uint64_t size, const std::function<std::string_view()>& read) {
    if (++entries_ > kMaxFiles) fail("there are too many files in it");
    const bool document = is_document(path);
    if (document && size > kMaxDocument) fail(lade::quoted(path) + " is too large");
    std::string text;
    const auto ingest = document ? nullptr : content_.ingest();
    Kept kept;
    for (std::string_view bytes = read(); !bytes.empty(); bytes = read()) {
      kept.size += bytes.size();
      if (kept.start.size() < 16) kept.start.append(bytes.substr(0, 16));
      if (document) {
        documents_size_ += bytes.size();
        if (documents_size_ > kMaxDocuments || text.size() > kMaxDocument) {
          fail("its descriptions are too large");
        }
        text += bytes;
      } else {
        ingest->write(bytes);
      }
    }
    if (document) {
      documents_[path] = std::move(text);
    } else {
      store(path, *ingest, kept);
    }
  }

  void link(const std::string& path, const std::string& target) {
    if (++entries_ > kMaxFiles) fail("there are too many files in it");
    links_[path] = target;
  }

  const std::string* document(const std::string& path) const {
    const auto found = documents_.find(path);
    return found == documents_.end() ? nullptr : &found->second;
  }

  const Kept& file(const std::string& name) const {
    std::string path = clean_name(name);
    for (int depth = 0; depth < kMaxArchiveLinks; ++depth) {
      if (const auto found = files_.find(path); found != files_.end()) return found->second;
      const auto link = links_.find(path);
      if (link == links_.end()) break;
      path = link->second;
    }
    fail(lade::quoted(name) + " is not in the archive");
  }

 private:
  static bool is_document(const std::string& path) {
    return path == "index.json" || path == "manifest.json" || path == "oci-layout" ||
           path == "repositories";
  }

  void store(const std::string& path, Ingest& ingest, Kept kept) {
    std::optional<Descriptor> expected;
    if (path.starts_with(kBlobDir)) {
      expected.emplace();
      expected->digest = with_context(lade::quoted(path), [&] {
        return Digest::parse("sha256:" + path.substr(kBlobDir.size()));
      });
      expected->size = kept.size;
    }
    // Stored anew even if it is here: that makes it young, and so safe from garbage collections.
    kept.digest = with_context(lade::quoted(path), [&] {
                    return ingest.commit(expected ? &*expected : nullptr);
                  }).digest;
    files_[path] = std::move(kept);
  }

  ContentStore& content_;
  std::map<std::string, std::string> documents_;
  uint64_t documents_size_ = 0;
  size_t entries_ = 0;
  std::map<std::string, Kept> files_;
  std::map<std::string, std::string> links_;
};

/// Reads a tar with libarchive.
class ArchiveReader {
 public:
  explicit ArchiveReader(ByteSource& source)
      : source_(source), buffer_(kArchiveBuffer), archive_(archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    check(archive_read_support_format_tar(archive_.get()));
    check(archive_read_open2(archive_.get(), this, nullptr, on_read, nullptr, nullptr));
  }

  void read_into(Contents& contents) {
    archive_entry* entry = nullptr;
    for (;;) {
      const int result = archive_read_next_header(archive_.get(), &entry);
      if (result == ARCHIVE_EOF) break;
      check(result);
      one(entry, contents);
    }
    // The rest is part of what a compressed archive's checksum covers.
    drain(source_);
  }

 private:
  void one(archive_entry* entry, Contents& contents) {
    const char* name = archive_entry_pathname(entry);
    if (!name) fail("an entry has no name");
    const std::string path = clean_name(name);
    if (const char* target = archive_entry_hardlink(entry)) {
      contents.link(path, clean_name(target));
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      const char* to = archive_entry_symlink(entry);
      if (!to) fail("the link " + lade::quoted(path) + " leads nowhere");
      contents.link(path, clean_name(join_path(dir_name(path), to)));
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      const auto size = static_cast<uint64_t>(std::max<int64_t>(archive_entry_size(entry), 0));
      uint64_t at = 0;
      contents.take(path, size, [&] { return block(path, at); });
    } else if (archive_entry_filetype(entry) != AE_IFDIR) {
      fail(lade::quoted(path) + " is not a file");
    }
  }

  std::string_view block(const std::string& path, uint64_t& at) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    do {
      const int result = archive_read_data_block(archive_.get(), &data, &size, &offset);
      if (result == ARCHIVE_EOF) return {};
      check(result);
    } while (size == 0);
    // Nobody writes images with holes, and a small archive could claim huge ones.
    if (static_cast<uint64_t>(offset) != at) fail(lade::quoted(path) + " is sparse");
    at += size;
    return {static_cast<const char*>(data), size};
  }

  static la_ssize_t on_read(archive* handle, void* self, const void** buffer) {
    auto& reader = *static_cast<ArchiveReader*>(self);
    try {
      *buffer = reader.buffer_.data();
      return static_cast<la_ssize_t>(
          reader.source_.read(reader.buffer_.data(), reader.buffer_.size()));
    } catch (...) {
      // libarchive is C: the exception goes on in check().
      reader.failure_ = std::current_exception();
      archive_set_error(handle, EIO, "read failed");
      return -1;
    }
  }

  void check(int result) {
    if (failure_) std::rethrow_exception(failure_);
    if (result == ARCHIVE_OK || result == ARCHIVE_WARN) return;
    fail("it is not a tar of images: " + archive_message(archive_.get()));
  }

  PlainLocale locale_;
  ByteSource& source_;
  std::vector<char> buffer_;
  std::exception_ptr failure_;
  ReadArchive archive_;
};

/// From what the archive holds to images.
class Loader {
 public:
  Loader(ImageStore& images, ContentStore& content, Contents& contents)
      : store_(images), content_(content), contents_(contents) {}

  std::vector<LoadedImage> load() {
    const bool layout = contents_.document("oci-layout") && contents_.document("index.json");
    if (!layout && !contents_.document("manifest.json")) {
      Error error("it holds no images: neither manifest.json nor an OCI layout",
                  ErrorKind::corrupt);
      error.set_hint("lade import makes an image of a root filesystem tar");
      throw error;
    }
    if (contents_.document("manifest.json")) read_docker_manifest(!layout);
    if (layout) read_layout();
    if (images_.empty()) fail("it holds no images");
    for (const auto& image : images_) check_image(image);
    name_images();
    return std::move(images_);
  }

 private:
  struct DockerImage {
    std::string config;
    std::vector<std::string> names;
    std::vector<std::string> layers;
  };

  /// Of a layout that BuildKit or docker wrote, manifest.json gives the names only.
  void read_docker_manifest(bool make_images) {
    const Json document = parse_foreign_json(*contents_.document("manifest.json"));
    if (!document.is_array()) fail("manifest.json is not a JSON list");
    for (const auto& item : document) {
      DockerImage image;
      try {
        image.config = item.at("Config").get<std::string>();
        if (item.contains("RepoTags") && item["RepoTags"].is_array()) {
          image.names = item["RepoTags"].get<std::vector<std::string>>();
        }
        if (item.at("Layers").is_array())
          image.layers = item["Layers"].get<std::vector<std::string>>();
      } catch (const Json::exception&) {
        fail(
            "manifest.json: each image needs a Config and a list of Layers, which are names of "
            "files");
      }
      const Kept& config = contents_.file(image.config);
      for (const auto& name : image.names)
        names_[config.digest].push_back(Reference::parse(name).str());
      if (make_images) make_image(image, config);
    }
  }

  void make_image(const DockerImage& image, const Kept& config) {
    const ImageConfig parsed = with_context(
        image.config, [&] { return ImageConfig::parse(content_.read_blob(config.digest)); });
    if (parsed.diff_ids.size() != image.layers.size()) {
      fail(fmt::format("{} has {} layers, but its config {} diff IDs", image.config,
                       image.layers.size(), parsed.diff_ids.size()));
    }
    Manifest manifest;
    manifest.media_type = media_type::kDockerManifest;
    manifest.config.media_type = media_type::kDockerConfig;
    manifest.config.digest = config.digest;
    manifest.config.size = config.size;
    for (size_t i = 0; i < image.layers.size(); ++i) {
      const Kept& layer = contents_.file(image.layers[i]);
      Descriptor descriptor;
      descriptor.digest = layer.digest;
      descriptor.size = layer.size;
      const Compression compression = detect_compression(layer.start);
      if (compression == Compression::none && layer.digest != parsed.diff_ids[i].digest) {
        fail(lade::quoted(image.layers[i]) + " is not the layer " +
             parsed.diff_ids[i].digest.str());
      }
      descriptor.media_type = compression == Compression::none   ? media_type::kDockerLayer
                              : compression == Compression::gzip ? media_type::kDockerLayerGzip
                                                                 : media_type::kOciLayerZstd;
      if (compression == Compression::bzip2 || compression == Compression::xz) {
        fail(lade::quoted(image.layers[i]) + " is compressed in a way that layers are not");
      }
      if (compression == Compression::zstd) use_oci_types(manifest);
      manifest.layers.push_back(std::move(descriptor));
    }
    const Descriptor stored = content_.put(manifest.serialize(), manifest.media_type);
    add(stored, names_[config.digest]);
  }

  /// Docker's own have none for zstd.
  static void use_oci_types(Manifest& manifest) {
    manifest.media_type = media_type::kOciManifest;
    manifest.config.media_type = media_type::kOciConfig;
  }

  void read_layout() {
    const Index index = Index::parse(*contents_.document("index.json"), media_type::kOciIndex);
    for (Descriptor descriptor : index.manifests) {
      const bool image = media_type::is_index(descriptor.media_type) ||
                         media_type::is_manifest(descriptor.media_type);
      if (!image) continue;
      std::vector<std::string> names = names_of(descriptor);
      descriptor.annotations.clear();
      const Kept& blob = contents_.file(std::string(kBlobDir) + descriptor.digest.hex());
      if (blob.size != descriptor.size) {
        fail(fmt::format("index.json says that {} has {} bytes, and it has {}",
                         descriptor.digest.str(), descriptor.size, blob.size));
      }
      add(descriptor, std::move(names));
    }
  }

  std::vector<std::string> names_of(const Descriptor& descriptor) {
    for (const std::string_view key : {kNameAnnotation, kRefNameAnnotation}) {
      const auto found = descriptor.annotations.find(std::string(key));
      // A bare tag, as most write ref.name, names nothing.
      if (found == descriptor.annotations.end() || found->second.find(':') == std::string::npos) {
        continue;
      }
      const Reference reference = Reference::parse(found->second);
      if (!reference.digest) return {reference.str()};
    }
    const StoredImage image = read_stored_image(content_, descriptor);
    const auto known = names_.find(image.id());
    return known == names_.end() ? std::vector<std::string>() : known->second;
  }

  void add(const Descriptor& target, std::vector<std::string> names) {
    const auto same = std::find_if(images_.begin(), images_.end(), [&](const LoadedImage& image) {
      return image.target.digest == target.digest;
    });
    LoadedImage& image =
        same == images_.end() ? images_.emplace_back(LoadedImage{target, {}}) : *same;
    for (auto& name : names) {
      if (std::find(image.names.begin(), image.names.end(), name) == image.names.end()) {
        image.names.push_back(std::move(name));
      }
    }
  }

  /// Every image that is described is here whole; of an index those that are here.
  void check_image(const LoadedImage& image) {
    const StoredImage stored = read_stored_image(content_, image.target);
    if (stored.manifests.empty())
      fail("the image " + image.target.digest.str() + " is not in it whole");
    for (const auto& one : stored.manifests) {
      if (one.manifest.layers.size() != one.config.diff_ids.size()) {
        fail("the image " + one.descriptor.digest.str() + " has other layers than its config says");
      }
      check_size("manifest", one.descriptor);
      check_size("config", one.manifest.config);
      for (const auto& layer : one.manifest.layers) check_size("layer", layer);
    }
    check_size("manifest", image.target);
  }

  /// Digests are true already, as blobs are stored by them.
  void check_size(std::string_view what, const Descriptor& blob) {
    const auto size = content_.size(blob.digest);
    if (!size) fail(fmt::format("the {} {} is not in it", what, blob.digest.str()));
    if (*size != blob.size) {
      fail(
          fmt::format("the {} {} has {} bytes, not {}", what, blob.digest.str(), *size, blob.size));
    }
  }

  void name_images() {
    store_.transaction([&] {
      for (const auto& image : images_) {
        if (image.names.empty()) {
          store_.put(unnamed_image(image.target.digest), image.target);
        }
        for (const auto& name : image.names) store_.put(name, image.target);
      }
    });
  }

  ImageStore& store_;
  ContentStore& content_;
  Contents& contents_;
  std::map<Digest, std::vector<std::string>> names_;  // by the config's digest
  std::vector<LoadedImage> images_;
};

}  // namespace

std::vector<LoadedImage> load_image_archive(ImageStore& images, ContentStore& content,
                                            std::unique_ptr<ByteSource> archive) {
  const auto tar = decompress(std::move(archive));
  Contents contents(content);
  ArchiveReader(*tar).read_into(contents);
  return Loader(images, content, contents).load();
}

std::vector<LoadedImage> load_image_layout(ImageStore& images, ContentStore& content,
                                           const std::string& directory) {
  const UniqueFd root = sys::open(directory, O_RDONLY | O_DIRECTORY);
  Contents contents(content);
  const auto take = [&](const std::string& path) {
    const auto fd = sys::open_in_root(root.get(), path, O_RDONLY | O_NONBLOCK);
    if (!fd) return;
    const struct stat info = sys::fstat(fd->get());
    if (!S_ISREG(info.st_mode)) fail(lade::quoted(path) + " is not a file");
    std::vector<char> buffer(kArchiveBuffer);
    contents.take(path, static_cast<uint64_t>(info.st_size), [&] {
      return std::string_view(buffer.data(),
                              sys::read_some(fd->get(), buffer.data(), buffer.size()));
    });
  };
  for (const char* document : {"oci-layout", "index.json", "manifest.json"}) take(document);
  if (const auto blobs =
          sys::open_in_root(root.get(), std::string(kBlobDir), O_RDONLY | O_DIRECTORY)) {
    for (const auto& name : sys::list_dir(blobs->get())) take(std::string(kBlobDir) + name);
  }
  return Loader(images, content, contents).load();
}

}  // namespace lade
