#include "tests/support/validate_image.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <zlib.h>
#include <zstd.h>

namespace lade {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kTarBlock = 512;
constexpr char kRefName[] = "org.opencontainers.image.ref.name";
constexpr char kImageName[] = "io.containerd.image.name";
constexpr char kCreated[] = "org.opencontainers.image.created";

// What is wrong with an image; ends the part that cannot be read further.
struct Problem {
  std::string text;
};

std::string hex(const unsigned char* bytes, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  return "sha256:" + hex(digest, size);
}

enum class Packing { none, gzip, zstd };

Packing packing_of(std::string_view bytes) {
  if (bytes.starts_with("\x1f\x8b")) return Packing::gzip;
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return Packing::zstd;
  return Packing::none;
}

std::string gunzip(std::string_view bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) throw Problem{"zlib failed"};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::string buffer(1 << 20, '\0');
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer.data(), buffer.size() - stream.avail_out);
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return out;
      if (inflateReset(&stream) != Z_OK) throw Problem{"zlib failed"};
      continue;
    }
    if (status != Z_OK) throw Problem{"is damaged gzip"};
  }
}

std::string unzstd(std::string_view bytes) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   ZSTD_freeDCtx);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string out;
  std::string buffer(1 << 20, '\0');
  for (;;) {
    ZSTD_outBuffer chunk{buffer.data(), buffer.size(), 0};
    const size_t status = ZSTD_decompressStream(context.get(), &chunk, &in);
    if (ZSTD_isError(status)) throw Problem{"is damaged zstd"};
    out.append(buffer.data(), chunk.pos);
    if (in.pos == in.size && chunk.pos < chunk.size) {
      if (status != 0) throw Problem{"ends in the middle of a zstd frame"};
      return out;
    }
  }
}

std::string unpack(std::string_view bytes) {
  switch (packing_of(bytes)) {
    case Packing::gzip:
      return gunzip(bytes);
    case Packing::zstd:
      return unzstd(bytes);
    case Packing::none:
      break;
  }
  return std::string(bytes);
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool all_of_set(std::string_view text, std::string_view set) {
  return !text.empty() && text.find_first_not_of(set) == std::string_view::npos;
}

// "sha256:" and 64 digits, without the first part for names of blobs.
bool is_hex_digest(std::string_view text) {
  return text.size() == 64 && all_of_set(text, "0123456789abcdef");
}

// RFC 3339: fixed fields, then an optional fraction, then the zone.
bool is_time(const std::string& text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() <= kForm.size()) return false;
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return false;
  }
  std::string_view rest = std::string_view(text).substr(kForm.size());
  if (rest.starts_with('.')) {
    const size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    if (end < 2 || end > 10) return false;
    rest.remove_prefix(end);
  }
  if (rest == "Z") return true;
  return rest.size() == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':';
}

std::string text_of(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::string annotation(const Json& descriptor, const char* key) {
  const auto at = descriptor.find("annotations");
  return at == descriptor.end() ? std::string() : text_of(*at, key);
}

class Validator {
 public:
  std::vector<std::string> run(const std::string& path) {
    guard(path, [&] {
      if (fs::is_directory(path)) {
        load_directory(path);
      } else {
        load_tar(read_file(path));
      }
      check_layout();
    });
    return std::move(problems_);
  }

 private:
  using Files = std::map<std::string, std::string>;

  void problem(std::string text) { problems_.push_back(std::move(text)); }
  void expect(bool good, const std::string& text) {
    if (!good) problem(text);
  }
  // Problems of `body` are of `what`.
  void guard(const std::string& what, const std::function<void()>& body) {
    try {
      body();
    } catch (const Problem& found) {
      problem(what + " " + found.text);
    } catch (const std::exception& error) {
      problem(what + ": " + error.what());
    }
  }

  // -- containers

  void load_directory(const std::string& path) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      const std::string name = fs::relative(entry.path(), path).string();
      if (entry.is_directory()) {
        expect(name == "blobs" || name == "blobs/sha256", "unexpected directory " + name);
      } else {
        files_[name] = read_file(entry.path());
      }
    }
  }

  static uint64_t octal(std::string_view field) {
    uint64_t value = 0;
    for (const char c : field) {
      if (c == '\0' || c == ' ') break;
      if (c < '0' || c > '7') throw Problem{"has a tar header with a bad number"};
      value = value * 8 + static_cast<uint64_t>(c - '0');
    }
    return value;
  }

  // ustar by POSIX.1-1988: no image here needs PAX.
  void load_tar(std::string bytes) {
    std::string last;
    size_t at = 0;
    const std::string zeros(kTarBlock, '\0');
    while (at + kTarBlock <= bytes.size() && bytes.compare(at, kTarBlock, zeros) != 0) {
      const std::string_view header(bytes.data() + at, kTarBlock);
      at += kTarBlock;
      const std::string name = check_header(header);
      const uint64_t size = octal(header.substr(124, 12));
      if (size > bytes.size() - at) throw Problem{"ends in the middle of " + name};
      expect(last < name, "tar: " + name + " is not after " + last);
      last = name;
      if (header[156] == '5') {
        expect(name == "blobs/" || name == "blobs/sha256/", "unexpected directory " + name);
        expect(size == 0, "tar: the directory " + name + " has data");
      } else {
        expect(header[156] == '0', "tar: " + name + " is no plain file");
        if (!files_.emplace(name, bytes.substr(at, size)).second) {
          problem("tar: " + name + " is there twice");
        }
      }
      const size_t padded = (size + kTarBlock - 1) / kTarBlock * kTarBlock;
      expect(bytes.find_first_not_of('\0', at + size) >= at + padded, "tar: padding is not zero");
      at += padded;
    }
    expect(bytes.size() - std::min(at, bytes.size()) >= 2 * kTarBlock &&
               bytes.find_first_not_of('\0', at) == std::string::npos,
           "tar: does not end in two blocks of zeros");
  }

  std::string check_header(std::string_view header) {
    uint64_t sum = 0;
    for (size_t i = 0; i < kTarBlock; ++i) {
      sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
    }
    if (sum != octal(header.substr(148, 8))) throw Problem{"has a tar header with a bad checksum"};
    const std::string name = header.substr(0, std::min<size_t>(header.find('\0'), 100)).data();
    const std::string clean = name.substr(0, std::min<size_t>(name.size(), 100));
    expect(header.substr(257, 5) == "ustar", "tar: " + clean + " has no ustar header");
    expect(octal(header.substr(136, 12)) == 0, "tar: " + clean + " has a time");
    expect(octal(header.substr(108, 8)) == 0 && octal(header.substr(116, 8)) == 0,
           "tar: " + clean + " has an owner");
    const uint64_t mode = octal(header.substr(100, 8));
    expect(mode == 0444 || mode == 0644 || mode == 0755, "tar: " + clean + " has an odd mode");
    return clean;
  }

  // -- documents

  const std::string& file(const std::string& name) {
    const auto at = files_.find(name);
    if (at == files_.end()) throw Problem{"lacks " + name};
    return at->second;
  }

  static Json parse(const std::string& what, const std::string& text) {
    Json document = Json::parse(text, nullptr, false);
    if (document.is_discarded()) throw Problem{"has " + what + " that is not JSON"};
    return document;
  }

  void check_layout() {
    const Json layout = parse("an oci-layout", file("oci-layout"));
    expect(text_of(layout, "imageLayoutVersion") == "1.0.0", "oci-layout: wrong version");
    const Json index = parse("an index.json", file("index.json"));
    expect(index.value("schemaVersion", 0) == 2, "index.json: schemaVersion is not 2");
    expect(text_of(index, "mediaType") == "application/vnd.oci.image.index.v1+json",
           "index.json: wrong mediaType");
    const auto manifests = index.find("manifests");
    if (manifests == index.end() || !manifests->is_array() || manifests->empty()) {
      throw Problem{"has an index.json without manifests"};
    }
    for (const Json& entry : *manifests) {
      guard("index.json entry", [&] { check_index_entry(entry); });
    }
    if (files_.contains("manifest.json")) guard("manifest.json", [&] { check_docker_manifest(); });
    check_names();
  }

  void check_names() {
    constexpr std::string_view kBlobs = "blobs/sha256/";
    for (const auto& [name, bytes] : files_) {
      if (name == "oci-layout" || name == "index.json" || name == "manifest.json") continue;
      expect(name.starts_with(kBlobs) && is_hex_digest(name.substr(kBlobs.size())),
             "unexpected file " + name);
      expect(named_.contains(name), "nothing refers to " + name);
    }
  }

  // Checks a descriptor and gives its bytes.
  const std::string& blob_of(const Json& descriptor, const std::string& what) {
    const std::string digest = text_of(descriptor, "digest");
    if (!digest.starts_with("sha256:") || !is_hex_digest(digest.substr(7)))
      throw Problem{"names a " + what + " without a digest"};
    const std::string name = "blobs/sha256/" + digest.substr(7);
    const std::string& bytes = file(name);
    named_.insert(name);
    expect(sha256(bytes) == digest, what + " " + digest + ": the bytes have another digest");
    const auto size = descriptor.find("size");
    expect(size != descriptor.end() && size->is_number_unsigned() && *size == bytes.size(),
           what + " " + digest + ": wrong size");
    return bytes;
  }

  void check_index_entry(const Json& entry) {
    const std::string ref_name = annotation(entry, kRefName);
    const std::string image_name = annotation(entry, kImageName);
    constexpr std::string_view kTag =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    expect(ref_name.empty() || (ref_name.size() <= 128 && all_of_set(ref_name, kTag)),
           "index.json: odd ref.name");
    if (!image_name.empty()) {
      image_names_.insert(image_name);
      expect(image_name.ends_with(":" + ref_name), "index.json: ref.name is not the name's tag");
    }
    expect(is_time(annotation(entry, kCreated)), "index.json: no time of creation");
    const std::string type = text_of(entry, "mediaType");
    const std::string& bytes = blob_of(entry, "manifest");
    check_manifest(type, parse("a manifest", bytes), entry);
  }

  struct Family {
    const char* manifest;
    const char* config;
    std::map<std::string, Packing> layers;
  };
  static const Family* family_of(const std::string& type) {
    static const Family oci{"application/vnd.oci.image.manifest.v1+json",
                            "application/vnd.oci.image.config.v1+json",
                            {{"application/vnd.oci.image.layer.v1.tar", Packing::none},
                             {"application/vnd.oci.image.layer.v1.tar+gzip", Packing::gzip},
                             {"application/vnd.oci.image.layer.v1.tar+zstd", Packing::zstd}}};
    static const Family docker{
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        {{"application/vnd.docker.image.rootfs.diff.tar", Packing::none},
         {"application/vnd.docker.image.rootfs.diff.tar.gzip", Packing::gzip},
         {"application/vnd.docker.image.rootfs.diff.tar.zstd", Packing::zstd}}};
    if (type == oci.manifest) return &oci;
    if (type == docker.manifest) return &docker;
    return nullptr;
  }

  void check_manifest(const std::string& type, const Json& manifest, const Json& entry) {
    const Family* family = family_of(type);
    if (family == nullptr) throw Problem{"has the media type " + type};
    expect(manifest.value("schemaVersion", 0) == 2, "manifest: schemaVersion is not 2");
    expect(text_of(manifest, "mediaType") == type, "manifest: mediaType is not the descriptor's");
    const Json& config_descriptor = manifest.at("config");
    expect(text_of(config_descriptor, "mediaType") == family->config, "config: wrong media type");
    const Json config = parse("a config", blob_of(config_descriptor, "config"));

    std::vector<std::string> diff_ids;
    std::vector<std::string> layer_digests;
    for (const Json& layer : manifest.at("layers")) {
      layer_digests.push_back(text_of(layer, "digest"));
      diff_ids.push_back(check_layer(layer, *family));
    }
    check_config(config, diff_ids, entry);
    manifests_.push_back({text_of(config_descriptor, "digest"), layer_digests});
  }

  // Returns the diff ID of the bytes.
  std::string check_layer(const Json& layer, const Family& family) {
    const std::string& bytes = blob_of(layer, "layer");
    const std::string digest = text_of(layer, "digest");
    const auto type = family.layers.find(text_of(layer, "mediaType"));
    if (type == family.layers.end()) {
      problem("layer " + digest + ": media type of another family");
    } else {
      expect(type->second == packing_of(bytes), "layer " + digest + ": is not what its type says");
    }
    std::string diff_id;
    guard("layer " + digest, [&] {
      const std::string tar = unpack(bytes);
      diff_id = sha256(tar);
      check_layer_tar(tar);
    });
    return diff_id;
  }

  void check_layer_tar(const std::string& tar) {
    const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(reader.get());
    archive_read_support_format_empty(reader.get());
    archive_read_set_options(reader.get(), "hdrcharset=BINARY");
    if (archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
      throw Problem{"is not a tar"};
    }
    std::set<std::string> names;
    archive_entry* entry = nullptr;
    int status = ARCHIVE_OK;
    while ((status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
      std::string name = archive_entry_pathname(entry);
      while (name.ends_with('/')) name.pop_back();
      expect(!name.starts_with('/'), "layer: absolute name " + name);
      expect(("/" + name + "/").find("/../") == std::string::npos, "layer: name with .. " + name);
      expect(names.insert(name).second, "layer: " + name + " is there twice");
      if (const char* target = archive_entry_hardlink(entry)) {
        expect(names.contains(target),
               "layer: hard link to " + std::string(target) + " comes first");
      }
    }
    if (status != ARCHIVE_EOF) throw Problem{"is a damaged tar"};
  }

  void check_config(const Json& config, const std::vector<std::string>& diff_ids,
                    const Json& entry) {
    expect(!text_of(config, "os").empty(), "config: no os");
    expect(!text_of(config, "architecture").empty(), "config: no architecture");
    expect(is_time(text_of(config, "created")), "config: created is no time");
    if (const auto platform = entry.find("platform"); platform != entry.end()) {
      expect(text_of(*platform, "os") == text_of(config, "os") &&
                 text_of(*platform, "architecture") == text_of(config, "architecture"),
             "index.json: platform is not the config's");
    }
    const Json& rootfs = config.at("rootfs");
    expect(text_of(rootfs, "type") == "layers", "config: rootfs.type is not layers");
    const Json listed = rootfs.contains("diff_ids") ? rootfs["diff_ids"] : Json();
    expect((listed.is_null() && diff_ids.empty()) || listed == Json(diff_ids),
           "config: diff_ids are not those of the layers");
    size_t described = 0;
    if (const auto history = config.find("history"); history != config.end()) {
      for (const Json& step : *history) {
        expect(is_time(text_of(step, "created")), "config: history without a time");
        if (!step.value("empty_layer", false)) ++described;
      }
    }
    expect(described == diff_ids.size(), "config: history does not match the layers");
  }

  void check_docker_manifest() {
    const Json document = parse("a manifest.json", file("manifest.json"));
    if (!document.is_array() || document.size() != 1) throw Problem{"is not of one image"};
    const Json& image = document[0];
    if (manifests_.empty()) throw Problem{"has no manifest to compare with"};
    const auto path = [](const std::string& digest) { return "blobs/sha256/" + digest.substr(7); };
    expect(text_of(image, "Config") == path(manifests_[0].config), "manifest.json: wrong Config");
    Json layers = Json::array();
    for (const std::string& digest : manifests_[0].layers) layers.push_back(path(digest));
    expect(image.value("Layers", Json()) == layers, "manifest.json: wrong Layers");
    size_t tags = 0;
    if (const Json listed = image.value("RepoTags", Json()); listed.is_array()) {
      for (const Json& tag : listed) {
        const std::string name = tag.get<std::string>();
        const bool known = std::any_of(
            image_names_.begin(), image_names_.end(),
            [&](const std::string& full) { return full == name || full.ends_with("/" + name); });
        expect(known, "manifest.json: index.json does not have " + name);
        ++tags;
      }
    }
    expect(tags == image_names_.size(), "manifest.json: not all names are in RepoTags");
  }

  struct Seen {
    std::string config;
    std::vector<std::string> layers;
  };

  std::vector<std::string> problems_;
  Files files_;
  std::set<std::string> named_;        // blobs that something refers to
  std::set<std::string> image_names_;  // io.containerd.image.name
  std::vector<Seen> manifests_;
};

}  // namespace

std::vector<std::string> validate_image(const std::string& path) {
  return Validator().run(path);
}

std::string image_problems(const std::string& path) {
  std::string out;
  for (const std::string& problem : validate_image(path)) out += problem + "\n";
  return out;
}

}  // namespace lade
