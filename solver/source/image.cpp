#include "solver/source/image.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "solver/source/oci_layout.hpp"

namespace lade {
namespace {

constexpr std::string_view kImageScheme = "docker-image://";
constexpr std::string_view kLayoutScheme = "oci-layout://";
constexpr uint64_t kMaxImageManifest = 4u << 20;
constexpr uint64_t kMaxConfig = 8u << 20;

std::string platforms_of(const Index& index) {
  std::vector<std::string> names;
  for (const auto& manifest : index.manifests) {
    if (manifest.platform && manifest.platform->os != "unknown") {
      names.push_back(manifest.platform->str());
    }
  }
  return join(names, ", ");
}

/// Registries keep charts, signatures and much else in the form of images.
ImageConfig read_config(ContentStore& content, const std::string& name, const Manifest& manifest,
                        BlobProvider& blobs) {
  const std::string& type = manifest.config.media_type;
  const std::string bytes = fetch_document(content, blobs, manifest.config, kMaxConfig);
  try {
    return ImageConfig::parse(bytes);
  } catch (const Error&) {
    if (type == media_type::kOciConfig || type == media_type::kDockerConfig) throw;
  }
  const std::string& artifact = manifest.artifact_type.empty() ? type : manifest.artifact_type;
  throw Error(fmt::format("{} is not a container image but an artifact of type {}", name,
                          quoted(artifact)));
}

/// The content store, and behind it the registry that a name says, which is asked only for what is
/// not here.
class NamedBlobs : public BlobProvider {
 public:
  NamedBlobs(ContentStore& content, std::function<std::shared_ptr<BlobProvider>()> registry)
      : content_(content), registry_(std::move(registry)) {}

  std::unique_ptr<ByteSource> open(const Descriptor& blob) override {
    if (auto fd = content_.open_blob(blob.digest)) {
      return std::make_unique<FdSource>(std::move(*fd));
    }
    return registry_()->open(blob);
  }
  std::string where() const override { return "the content store"; }

 private:
  ContentStore& content_;
  std::function<std::shared_ptr<BlobProvider>()> registry_;
};

}  // namespace

struct ImageSources::Found {
  Descriptor manifest_descriptor;
  Manifest manifest;
  std::shared_ptr<BlobProvider> blobs;
};

std::string fetch_document(ContentStore& content, BlobProvider& blobs, const Descriptor& descriptor,
                           uint64_t limit) {
  if (content.has(descriptor.digest)) return content.read_blob(descriptor.digest, limit);
  const auto source = blobs.open(descriptor);
  const std::string bytes = read_all(*source, limit, "blob " + descriptor.digest.str());
  if (Digest::of(bytes) != descriptor.digest) {
    throw Error(fmt::format("blob {} from {} has other bytes than its digest says",
                            descriptor.digest.str(), blobs.where()),
                ErrorKind::corrupt);
  }
  content.put(bytes, descriptor.media_type);
  return bytes;
}

std::shared_ptr<BlobProvider> ImageSources::blobs_of(const Reference& name) {
  return std::make_shared<NamedBlobs>(
      state_.content(), [this, name] { return std::shared_ptr(client().blobs(name)); });
}

ImageSources::ImageSources(StateDir& state, ImageSourceOptions options)
    : state_(state), options_(std::move(options)), pull_(options_.pull) {}
ImageSources::~ImageSources() = default;

RegistryClient& ImageSources::client() {
  const std::lock_guard lock(mutex_);
  if (!client_) {
    RegistryOptions options = options_.registries;
    options.http.offline = options_.offline;
    client_ = RegistryClient::create(std::move(options));
  }
  return *client_;
}

BaseImage ImageSources::resolve(const std::string& source, const Platform& platform) {
  const std::pair key(source, platform.str());
  {
    const std::lock_guard lock(mutex_);
    const auto known = resolved_.find(key);
    if (known != resolved_.end()) return known->second;
    const auto result = results_.find(source);
    if (result != results_.end()) return result->second;
  }
  BaseImage image;
  if (source.starts_with(kLayoutScheme)) {
    const Found found = find_layout(source.substr(kLayoutScheme.size()), platform);
    image = keep(source + "@" + found.manifest_descriptor.digest.str(), source, found);
  } else {
    if (!source.starts_with(kImageScheme)) throw Error("unknown image source " + quoted(source));
    const Reference reference = Reference::parse(source.substr(kImageScheme.size()));
    const Found found = find_image(reference, platform);
    Reference pinned = reference;
    pinned.digest = found.manifest_descriptor.digest;
    image = keep(std::string(kImageScheme) + pinned.str(), pinned.str(), found);
  }
  const std::lock_guard lock(mutex_);
  return resolved_[key] = image;
}

ImageSources::Found ImageSources::from_manifest_list(const Descriptor& descriptor,
                                                     const Platform& platform,
                                                     const std::string& name,
                                                     const std::shared_ptr<BlobProvider>& blobs) {
  Descriptor current = descriptor;
  // An index may hold indexes; two levels are all that anybody makes.
  for (int depth = 0; depth < 3; ++depth) {
    const std::string bytes = fetch_document(state_.content(), *blobs, current, kMaxImageManifest);
    if (!media_type::is_index(current.media_type)) {
      Manifest manifest = Manifest::parse(bytes, current.media_type);
      current.media_type = manifest.media_type;
      return {current, std::move(manifest), blobs};
    }
    const Index index = Index::parse(bytes, current.media_type);
    const Descriptor* chosen = index.select(platform);
    if (!chosen) {
      const std::string others = platforms_of(index);
      throw Error(
          others.empty()
              ? fmt::format("{} has no image for {}: its index is empty", name, platform.str())
              : fmt::format("{} has no image for {}; it has {}", name, platform.str(), others),
          ErrorKind::not_found);
    }
    current = *chosen;
  }
  throw Error(name + " nests its indexes too deeply", ErrorKind::corrupt);
}

ImageSources::Found ImageSources::find_local(const Reference& reference, const Platform& platform) {
  const auto name = state_.images().find(reference.str());
  const auto known =
      name ? std::optional(name->target) : state_.images().resolution(reference.str());
  if (!known) throw Error("not here", ErrorKind::not_found);
  const auto blobs =
      name ? blobs_of(reference) : std::shared_ptr<BlobProvider>(client().blobs(reference));
  return from_manifest_list(*known, platform, reference.familiar(), blobs);
}

/// What the registry has under the name now; its document is in the content store afterwards.
Descriptor ImageSources::ask(const Reference& reference) {
  ContentStore& content = state_.content();
  // Where something is known already the answer will mostly be the same: asking for its digest
  // alone is cheaper, and Docker Hub's limits do not count it.
  if (is_here(reference)) {
    const Descriptor now = client().resolve(reference);
    if (content.has(now.digest)) return now;
  }
  const RemoteManifest remote = client().fetch_manifest(reference);
  content.put(remote.bytes, remote.descriptor.media_type);
  return remote.descriptor;
}

ImageSources::Found ImageSources::find_remote(const Reference& reference,
                                              const Platform& platform) {
  const Descriptor now = ask(reference);
  state_.images().record_resolution(reference.str(), now);
  return from_manifest_list(now, platform, reference.familiar(),
                            std::shared_ptr<BlobProvider>(client().blobs(reference)));
}

bool ImageSources::is_here(const Reference& reference) const {
  return state_.images().find(reference.str()) || state_.images().resolution(reference.str());
}

/// What is named here, if it is what the registry has, or the registry cannot be asked.
ImageSources::Found ImageSources::find_newer(const Reference& reference, const Platform& platform) {
  const auto named = state_.images().find(reference.str());
  try {
    if (named && client().resolve(reference).digest == named->target.digest) {
      return find_local(reference, platform);
    }
    return find_remote(reference, platform);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::canceled) throw;
    return find_local(reference, platform);
  }
}

ImageSources::Found ImageSources::find_registered(const Reference& reference,
                                                  const Platform& platform) {
  try {
    return find_remote(reference, platform);
  } catch (const Error& error) {
    // A registry that says no means it: another client's credentials may have been needed before.
    if (error.kind() != ErrorKind::unavailable) throw;
    const auto named = state_.images().find(reference.str());
    if (named && !named->of_client) return find_local(reference, platform);
    const auto said = state_.images().resolution(reference.str());
    if (!said) throw;
    return from_manifest_list(*said, platform, reference.familiar(),
                              std::shared_ptr<BlobProvider>(client().blobs(reference)));
  }
}

ImageSources::Found ImageSources::find_image(const Reference& reference, const Platform& platform) {
  if (pull_ == PullPolicy::registry && !options_.offline) {
    return with_context(reference.familiar(), [&] { return find_registered(reference, platform); });
  }
  const bool here = is_here(reference);
  const PullPolicy pull = pull_;
  if (pull == PullPolicy::current && state_.images().find(reference.str())) {
    return find_local(reference, platform);
  }
  if (here && (pull == PullPolicy::newer || pull == PullPolicy::current)) {
    return find_newer(reference, platform);
  }
  if (here && pull != PullPolicy::always) {
    try {
      return find_local(reference, platform);
    } catch (const Error& error) {
      // A resolution whose manifest is gone here and there: ask for what the name means now.
      if (error.kind() != ErrorKind::not_found || pull == PullPolicy::never) throw;
      if (state_.images().find(reference.str())) throw;
    }
  }
  if (pull == PullPolicy::never || options_.offline) {
    Error error(fmt::format("image {} is not on this machine{}", quoted(reference.familiar()),
                            options_.offline ? ", and lade is offline" : ""),
                ErrorKind::not_found);
    error.set_hint(options_.offline ? "bring it here with lade pull, without --offline"
                                    : "drop --pull=never, or bring it here with lade pull");
    throw error;
  }
  return with_context(reference.familiar(), [&] { return find_remote(reference, platform); });
}

ImageSources::Found ImageSources::find_layout(const std::string& source, const Platform& platform) {
  if (options_.open_layout) {
    return with_context("OCI layout " + quoted(source), [&] {
      const auto [descriptor, blobs] = options_.open_layout(source);
      return from_manifest_list(descriptor, platform, source, blobs);
    });
  }
  const LayoutName name = LayoutName::parse(source);
  const std::string path = join_path(options_.client_directory, name.path);
  return with_context("OCI layout " + quoted(path), [&] {
    const auto layout = OciLayout::open(path);
    const Descriptor descriptor = layout->find(name, platform);
    return from_manifest_list(descriptor, platform, name.path, layout);
  });
}

BaseImage ImageSources::keep(const std::string& identifier, const std::string& display,
                             const Found& found) {
  BaseImage image;
  image.identifier = identifier;
  image.display = display;
  image.config = read_config(state_.content(), display, found.manifest, *found.blobs);
  ResolvedImage resolved;
  resolved.provider = found.blobs;
  resolved.layers =
      state_.layers().add_image(display, image.config.diff_ids, found.manifest.layers);
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < resolved.layers.size(); ++i) {
    providers_.emplace(resolved.layers[i], found.blobs);
    by_diff_id_.emplace(image.config.diff_ids[i], resolved.layers[i]);
  }
  images_[identifier] = std::move(resolved);
  return image;
}

void ImageSources::set_pull(PullPolicy pull) {
  pull_ = pull;
}

void ImageSources::add_result(const std::string& source, const LayerStack& layers,
                              ImageConfig config) {
  WireWriter chain;
  chain.text("lade result");
  for (const LayerId layer : layers) chain.digest(state_.layers().content_digest(layer));
  BaseImage image;
  image.identifier = image.display = source;
  image.config = std::move(config);
  image.chain = Digest::of(chain.str()).str();
  const std::lock_guard lock(mutex_);
  images_[source] = {layers, nullptr};
  results_[source] = std::move(image);
}

ResolvedImage ImageSources::resolved(const std::string& identifier) const {
  const std::lock_guard lock(mutex_);
  return images_.at(identifier);
}

std::optional<LayerId> ImageSources::layer_of(const DiffId& diff_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_diff_id_.find(diff_id);
  return found == by_diff_id_.end() ? std::nullopt : std::optional(found->second);
}

std::shared_ptr<BlobProvider> ImageSources::provider_of(LayerId layer) const {
  const std::lock_guard lock(mutex_);
  const auto found = providers_.find(layer);
  return found == providers_.end() ? nullptr : found->second;
}

}  // namespace lade
