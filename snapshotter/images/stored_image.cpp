#include "snapshotter/images/stored_image.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/content/reference.hpp"
#include "snapshotter/layers/file_age.hpp"
#include "snapshotter/layers/pins.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxManifest = 4u << 20;
constexpr uint64_t kMaxConfig = 8u << 20;
constexpr int kMaxNesting = 4;
constexpr std::string_view kUnnamed = "<none>@";
constexpr std::string_view kDigestPrefix = "sha256:";

/// Throws on if it is the disk that failed: what cannot be read now is not what is not there, and a
/// collection that took it so would remove what the image needs.
void check_is_not_the_disk(const Error& error) {
  if (error.errno_code() != 0) throw error;
}

/// The blob, or nothing if it is not here as it should be.
std::optional<std::string> read_if_here(ContentStore& content, const Digest& digest,
                                        uint64_t limit) {
  try {
    return content.read_blob(digest, limit);
  } catch (const Error& error) {
    check_is_not_the_disk(error);
    return std::nullopt;
  }
}

bool is_attestation(const Descriptor& descriptor) {
  return descriptor.platform && descriptor.platform->os == "unknown";
}

std::optional<StoredManifest> read_manifest(ContentStore& content, const Descriptor& descriptor) {
  const auto bytes = read_if_here(content, descriptor.digest, kMaxManifest);
  if (!bytes) return std::nullopt;
  try {
    StoredManifest out{descriptor, Manifest::parse(*bytes, descriptor.media_type), {}};
    const auto config = read_if_here(content, out.manifest.config.digest, kMaxConfig);
    if (!config) return std::nullopt;
    out.config = ImageConfig::parse(*config);
    return out;
  } catch (const Error& error) {
    check_is_not_the_disk(error);
    return std::nullopt;  // an artifact that is no image, or damaged
  }
}

void read_index(ContentStore& content, const Index& index, int depth, StoredImage& out) {
  for (const auto& descriptor : index.manifests) {
    if (is_attestation(descriptor)) continue;
    if (!media_type::is_index(descriptor.media_type)) {
      if (auto manifest = read_manifest(content, descriptor)) {
        out.manifests.push_back(std::move(*manifest));
      }
      continue;
    }
    const auto bytes = read_if_here(content, descriptor.digest, kMaxManifest);
    if (!bytes || depth == 0) continue;
    try {
      read_index(content, Index::parse(*bytes, descriptor.media_type), depth - 1, out);
    } catch (const Error& error) {
      check_is_not_the_disk(error);
      // Damaged: what is left out.
    }
  }
}

void visit_blobs(ContentStore& content, const Descriptor& descriptor, int depth,
                 const std::function<void(const Descriptor&)>& visit) {
  visit(descriptor);
  const bool index = media_type::is_index(descriptor.media_type);
  if (!index && !media_type::is_manifest(descriptor.media_type)) return;
  const auto bytes = read_if_here(content, descriptor.digest, kMaxManifest);
  if (!bytes || depth == 0) return;
  try {
    if (index) {
      for (const auto& child : Index::parse(*bytes, descriptor.media_type).manifests) {
        visit_blobs(content, child, depth - 1, visit);
      }
      return;
    }
    const Manifest manifest = Manifest::parse(*bytes, descriptor.media_type);
    visit(manifest.config);
    for (const auto& layer : manifest.layers) visit(layer);
  } catch (const Error& error) {
    check_is_not_the_disk(error);
    // Damaged: what it led to is not known.
  }
}

bool all_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

[[noreturn]] void throw_no_image(ImageStore& images, const std::string& text) {
  Error error("no such image: " + quoted(text), ErrorKind::not_found);
  std::vector<std::string> names;
  for (const auto& image : images.list()) {
    if (!is_unnamed(image.name)) names.push_back(Reference::parse(image.name).familiar());
  }
  if (const auto meant = nearest(text, names); !meant.empty()) {
    error.set_hint("did you mean " + meant + "?");
  }
  throw error;
}

std::optional<Reference> as_reference(const std::string& text) {
  try {
    return Reference::parse(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// By name or name and digest; nothing if `text` is neither.
std::optional<Descriptor> find_by_name(ImageStore& images, const std::string& text) {
  const auto reference = as_reference(text);
  if (!reference) return std::nullopt;
  if (const auto name = images.find(reference->str())) return name->target;
  if (!reference->digest) return std::nullopt;
  for (const auto& name : images.list()) {
    if (name.target.digest != *reference->digest || is_unnamed(name.name)) continue;
    if (Reference::parse(name.name).name() == reference->name()) return name.target;
  }
  return std::nullopt;
}

/// One that only builds know, by what a registry said of the name.
std::optional<StoredImage> find_resolved(ImageStore& images, ContentStore& content,
                                         const std::string& text) {
  const auto reference = as_reference(text);
  if (!reference) return std::nullopt;
  for (const auto& resolved : images.list_resolutions()) {
    const bool is_it = resolved.name == reference->str() ||
                       (reference->digest == resolved.target.digest &&
                        Reference::parse(resolved.name).name() == reference->name());
    if (!is_it || !content.has(resolved.target.digest)) continue;
    StoredImage image = read_stored_image(content, resolved.target);
    image.names.push_back(resolved);
    return image;
  }
  return std::nullopt;
}

std::vector<StoredImage> find_by_id(std::vector<StoredImage> images, std::string_view prefix) {
  const bool may_be_id = !prefix.empty() && prefix.size() <= 64 && all_hex(prefix);
  std::erase_if(images, [&](const StoredImage& image) {
    return !may_be_id ||
           !(image.id().hex().starts_with(prefix) || image.target.digest.hex().starts_with(prefix));
  });
  return images;
}

}  // namespace

Digest StoredImage::id() const {
  if (index || manifests.empty()) return target.digest;
  return manifests.front().manifest.config.digest;
}

const StoredManifest* StoredImage::for_platform(const Platform& platform) const {
  const StoredManifest* best = nullptr;
  size_t best_rank = 0;
  for (const auto& manifest : manifests) {
    const auto rank = platform.rank(manifest.config.platform.normalized());
    if (rank && (!best || *rank < best_rank)) {
      best = &manifest;
      best_rank = *rank;
    }
  }
  if (best) return best;
  return manifests.empty() ? nullptr : &manifests.front();
}

std::string unnamed_image(const Digest& target) {
  return std::string(kUnnamed) + target.str();
}

bool is_unnamed(const std::string& name) {
  return name.starts_with(kUnnamed);
}

StoredImage read_stored_image(ContentStore& content, const Descriptor& target) {
  StoredImage out;
  out.target = target;
  if (!media_type::is_index(target.media_type)) {
    if (auto manifest = read_manifest(content, target))
      out.manifests.push_back(std::move(*manifest));
    return out;
  }
  const auto bytes = read_if_here(content, target.digest, kMaxManifest);
  if (!bytes) return out;
  try {
    out.index = Index::parse(*bytes, target.media_type);
  } catch (const Error& error) {
    check_is_not_the_disk(error);
    return out;  // damaged, or a registry's that was never one: what lists all images goes on
  }
  read_index(content, *out.index, kMaxNesting, out);
  return out;
}

std::vector<StoredImage> list_stored_images(ImageStore& images, ContentStore& content,
                                            bool with_resolved) {
  std::map<Digest, StoredImage> by_target;
  std::vector<ImageName> names = images.list();
  if (with_resolved) {
    for (auto& resolved : images.list_resolutions()) {
      if (!images.find(resolved.name)) names.push_back(std::move(resolved));
    }
  }
  for (const auto& name : names) {
    const auto [at, is_new] = by_target.try_emplace(name.target.digest);
    if (is_new) at->second = read_stored_image(content, name.target);
    at->second.names.push_back(name);
  }
  std::vector<StoredImage> out;
  for (auto& [digest, image] : by_target) out.push_back(std::move(image));
  const auto created = [](const StoredImage& image) {
    const auto* shown = image.for_platform(Platform::host());
    return shown && shown->config.created ? *shown->config.created : Timestamp{};
  };
  std::stable_sort(out.begin(), out.end(), [&](const StoredImage& a, const StoredImage& b) {
    return created(a) > created(b);
  });
  return out;
}

StoredImage find_stored_image(ImageStore& images, ContentStore& content, const std::string& text) {
  if (const auto named = find_by_name(images, text)) {
    StoredImage image = read_stored_image(content, *named);
    for (auto& name : images.list()) {
      if (name.target.digest == named->digest) image.names.push_back(std::move(name));
    }
    return image;
  }
  if (auto resolved = find_resolved(images, content, text)) return std::move(*resolved);
  const std::string_view prefix =
      text.starts_with(kDigestPrefix) ? std::string_view(text).substr(kDigestPrefix.size()) : text;
  std::vector<StoredImage> found = find_by_id(list_stored_images(images, content), prefix);
  if (found.empty()) found = find_by_id(list_stored_images(images, content, true), prefix);
  if (found.empty()) throw_no_image(images, text);
  // One config may have several manifests; they are the same image.
  for (const auto& image : found) {
    if (image.id() != found.front().id()) {
      throw Error(fmt::format("several images have IDs that begin with {}", quoted(prefix)),
                  ErrorKind::not_found);
    }
  }
  for (size_t i = 1; i < found.size(); ++i) {
    auto& names = found.front().names;
    names.insert(names.end(), found[i].names.begin(), found[i].names.end());
  }
  return std::move(found.front());
}

std::optional<std::string> name_called(const StoredImage& image, const std::string& text) {
  const auto reference = as_reference(text);
  if (!reference || reference->digest) return std::nullopt;
  for (const auto& name : image.names) {
    if (name.name == reference->str()) return name.name;
  }
  return std::nullopt;
}

bool remove_image_names(ImageStore& images, ContentStore& content, LayerStore& layers,
                        const StoredImage& image, const std::vector<std::string>& names) {
  bool gone = true;
  // What is still needed is found and the rest removed while nobody can name anything.
  images.transaction([&] {
    for (const auto& name : names) {
      if (!images.remove(name)) images.forget_resolution(name);
    }
    std::set<Digest> needed;
    const auto keep = [&](const Descriptor& blob) { needed.insert(blob.digest); };
    for (const auto& other : images.list()) {
      visit_image_blobs(content, other.target, keep);
      for (const auto& name : image.names) gone = gone && other.name != name.name;
    }
    for (const auto& resolved : images.list_resolutions()) {
      visit_image_blobs(content, resolved.target, keep);
    }
    if (!gone) return;
    std::vector<Digest> unneeded;
    std::set<Digest> targets;
    for (const auto& name : image.names) targets.insert(name.target.digest);
    for (const auto& name : image.names) {
      if (targets.erase(name.target.digest) == 0) continue;
      visit_image_blobs(content, name.target, [&](const Descriptor& blob) {
        if (!needed.contains(blob.digest) && !layers.knows_blob(blob.digest)) {
          unneeded.push_back(blob.digest);
        }
      });
    }
    // What is younger than a process at work may be about to be named by it: the next garbage
    // collection will know.
    const auto others = layers.oldest_other_start();
    for (const auto& digest : unneeded) {
      const auto info = sys::lstatat(AT_FDCWD, content.path(digest));
      if (!info) continue;
      if (!is_young(modified_ms(*info), others)) content.remove(digest);
    }
  });
  return gone;
}

void visit_image_blobs(ContentStore& content, const Descriptor& target,
                       const std::function<void(const Descriptor&)>& visit) {
  visit_blobs(content, target, kMaxNesting, visit);
}

}  // namespace lade
