#include "solver/source/oci_layout.hpp"

#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxIndex = 4u << 20;
constexpr size_t kBlock = 512;
constexpr size_t kMaxMembers = 1'000'000;
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kImageName = "io.containerd.image.name";

/// A range of a file.
class RangeSource : public ByteSource {
 public:
  RangeSource(UniqueFd fd, uint64_t offset, uint64_t size)
      : fd_(std::move(fd)), offset_(offset), left_(size) {}
  size_t read(char* buffer, size_t size) override {
    const size_t count = std::min<uint64_t>(size, left_);
    if (count > 0) sys::pread_exact(fd_.get(), buffer, count, offset_);
    offset_ += count;
    left_ -= count;
    return count;
  }

 private:
  UniqueFd fd_;
  uint64_t offset_;
  uint64_t left_;
};

std::optional<uint64_t> octal_field(const char* field, size_t size) {
  if (static_cast<unsigned char>(field[0]) & 0x80) {  // GNU's base-256
    uint64_t value = static_cast<unsigned char>(field[0]) & 0x7f;
    for (size_t i = 1; i < size; ++i) {
      if (value >> 55) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(field[i]);
    }
    return value;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < size && field[i] != '\0' && field[i] != ' '; ++i) {
    if (field[i] < '0' || field[i] > '7') return std::nullopt;
    value = value * 8 + static_cast<uint64_t>(field[i] - '0');
  }
  return value;
}

}  // namespace

LayoutName LayoutName::parse(const std::string& text) {
  LayoutName name;
  name.path = text;
  if (const auto at = name.path.rfind('@'); at != std::string::npos) {
    name.digest = Digest::parse(name.path.substr(at + 1));
    name.path.resize(at);
  }
  const auto colon = name.path.rfind(':');
  if (colon != std::string::npos && name.path.find('/', colon) == std::string::npos) {
    name.tag = name.path.substr(colon + 1);
    name.path.resize(colon);
  }
  return name;
}

std::shared_ptr<OciLayout> OciLayout::open(const std::string& path) {
  auto layout = std::make_shared<OciLayout>();
  layout->path_ = path;
  const auto info = sys::lstatat(AT_FDCWD, path);
  if (!info) throw Error("no such file or directory", ErrorKind::not_found);
  // A symlink to a directory is one, too.
  layout->tar_ = ::access((path + "/.").c_str(), F_OK) != 0;
  if (layout->tar_) layout->index_tar();
  layout->index_ = Index::parse(layout->read_member("index.json"), media_type::kOciIndex);
  return layout;
}

void OciLayout::index_tar() {
  const UniqueFd fd = sys::open(path_, O_RDONLY);
  const auto size = static_cast<uint64_t>(sys::fstat(fd.get()).st_size);
  char block[kBlock];
  for (uint64_t offset = 0; offset + kBlock <= size;) {
    sys::pread_exact(fd.get(), block, kBlock, offset);
    if (block[0] == '\0') break;
    const auto length = octal_field(block + 124, 12);
    if (std::memcmp(block + 257, "ustar", 5) != 0 || !length || *length > size - offset - kBlock) {
      throw Error("not an OCI layout: neither a directory nor an uncompressed tar",
                  ErrorKind::corrupt);
    }
    std::string name(block, strnlen(block, 100));
    if (name.starts_with("./")) name.erase(0, 2);
    const char type = block[156];
    if (type == '0' || type == '\0') members_[name] = {offset + kBlock, *length};
    if (members_.size() > kMaxMembers) throw Error("too many files in the tar", ErrorKind::corrupt);
    offset += kBlock + (*length + kBlock - 1) / kBlock * kBlock;
  }
}

std::string OciLayout::read_member(const std::string& name) const {
  if (!tar_) {
    auto bytes = sys::read_file(path_ + "/" + name, kMaxIndex);
    if (!bytes) throw Error("not an OCI layout: it has no " + name, ErrorKind::not_found);
    return std::move(*bytes);
  }
  const auto member = members_.find(name);
  if (member == members_.end())
    throw Error("not an OCI layout: it has no " + name, ErrorKind::not_found);
  RangeSource source(sys::open(path_, O_RDONLY), member->second.offset, member->second.size);
  return read_all(source, kMaxIndex, name);
}

std::unique_ptr<ByteSource> OciLayout::open(const Descriptor& descriptor) {
  const std::string name = "blobs/sha256/" + descriptor.digest.hex();
  if (!tar_) return std::make_unique<FdSource>(sys::open(path_ + "/" + name, O_RDONLY));
  const auto member = members_.find(name);
  if (member == members_.end()) {
    throw Error("the layout has no blob " + descriptor.digest.str(), ErrorKind::not_found);
  }
  return std::make_unique<RangeSource>(sys::open(path_, O_RDONLY), member->second.offset,
                                       member->second.size);
}

Descriptor OciLayout::find(const LayoutName& name, const Platform& platform) const {
  std::vector<std::string> tags;
  for (const auto& manifest : index_.manifests) {
    const auto ref = manifest.annotations.find(std::string(kRefName));
    const auto image = manifest.annotations.find(std::string(kImageName));
    const std::string tag = ref == manifest.annotations.end() ? "" : ref->second;
    if (!tag.empty()) tags.push_back(tag);
    if (name.digest
            ? manifest.digest == *name.digest
            : !name.tag.empty() && (tag == name.tag || (image != manifest.annotations.end() &&
                                                        image->second.ends_with(":" + name.tag)))) {
      return manifest;
    }
  }
  if (!name.digest && name.tag.empty()) {
    if (index_.manifests.size() == 1) return index_.manifests.front();
    if (const Descriptor* chosen = index_.select(platform)) return *chosen;
  }
  throw Error(fmt::format("it has no image {}; it has: {}",
                          name.digest ? name.digest->str() : quoted(name.tag),
                          tags.empty() ? "no tags" : join(tags, ", ")),
              ErrorKind::not_found);
}

}  // namespace lade
