#include "registry/client.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "registry/auth/access.hpp"
#include "registry/blob_push.hpp"
#include "registry/blob_source.hpp"

namespace lade {
namespace {

constexpr uint64_t kMaxManifestBytes = 4u << 20;

std::string accept_header() {
  return fmt::format("Accept: {}, {}, {}, {}", media_type::kOciIndex, media_type::kDockerIndex,
                     media_type::kOciManifest, media_type::kDockerManifest);
}

std::string manifest_path(const Reference& reference) {
  return "manifests/" + (reference.digest ? reference.digest->str() : reference.tag);
}

/// Docker-Content-Digest, if the registry sent one of an algorithm that lade can check.
std::optional<Digest> digest_header(const HttpResponse& response) {
  const std::string text = response.header("docker-content-digest");
  if (!text.starts_with("sha256:")) return std::nullopt;
  return Digest::parse(text);
}

/// Content-Type without its parameters.
std::string content_type(const HttpResponse& response) {
  const std::string text = response.header("content-type");
  return text.substr(0, text.find_first_of("; "));
}

bool is_known(std::string_view type) {
  return media_type::is_manifest(type) || media_type::is_index(type);
}

/// What a document says of itself; empty if it is none, which whoever reads it will say.
std::string own_manifest_type(std::string_view bytes) {
  try {
    const JsonDocument document(bytes, kMaxManifestBytes, "the manifest");
    return document.root()["mediaType"].string_or_empty();
  } catch (const Error&) {
    return "";
  }
}

/// What a manifest is: what the registry says; where the document names the other format, Docker's
/// or OCI's, for the same, that; where the registry says something general such as
/// "application/json", what the document says or has.
std::string manifest_type(const std::string& announced, std::string_view bytes) {
  if (is_known(announced)) {
    const std::string own = own_manifest_type(bytes);
    const bool same = is_known(own) && media_type::is_index(own) == media_type::is_index(announced);
    return same ? own : announced;
  }
  if (announced.starts_with("application/vnd.docker.distribution.manifest.v1+")) {
    throw Error("it is an image in Docker's schema 1, which is no longer supported");
  }
  const JsonDocument document(bytes, kMaxManifestBytes, "the manifest");
  const JsonValue root = document.root();
  const std::string own = root["mediaType"].string_or_empty();
  if (!own.empty()) return own;
  return std::string(root["manifests"].present() ? media_type::kOciIndex
                                                 : media_type::kOciManifest);
}

class RemoteBlobs : public BlobProvider {
 public:
  RemoteBlobs(std::shared_ptr<RegistryAccess> access, Reference repository)
      : access_(std::move(access)), repository_(std::move(repository)) {}

  std::unique_ptr<ByteSource> open(const Descriptor& descriptor) override {
    return with_context(
        [&] {
          return fmt::format("could not fetch the blob {} of {}", descriptor.digest.str(), where());
        },
        [&] {
          return std::make_unique<RemoteBlobSource>(access_, access_->pull_endpoints(repository_),
                                                    descriptor);
        });
  }

  std::string where() const override { return repository_.name(); }
  const Reference& repository() const { return repository_; }

 private:
  std::shared_ptr<RegistryAccess> access_;
  Reference repository_;
};

/// `body(endpoint)` of the first place to pull from where it does not fail.
template <class Body>
auto at_an_endpoint(RegistryAccess& access, const Reference& reference, Body body) {
  const auto endpoints = access.pull_endpoints(reference);
  std::string failures;
  for (size_t i = 0;; ++i) {
    try {
      std::optional<std::invoke_result_t<Body, const RegistryEndpoint&>> out;
      access.http().retry([&] { out = body(endpoints[i]); });
      return std::move(*out);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::canceled || i + 1 == endpoints.size()) {
        if (failures.empty()) throw;
        throw with_failures(error, failures);
      }
      if (error.kind() == ErrorKind::unavailable) access.note_away(endpoints[i]);
      failures += (failures.empty() ? "" : "; ") + error.message();
    }
  }
}

class CurlRegistryClient : public RegistryClient {
 public:
  explicit CurlRegistryClient(RegistryOptions options)
      : access_(std::make_shared<RegistryAccess>(std::move(options))) {}

  Descriptor resolve(const Reference& reference) override {
    // A HEAD has no body that could say what is wrong, and some registries do not know it.
    return with_context([&] { return "could not resolve " + reference.str(); },
                        [&] {
                          return at_an_endpoint(
                              *access_, reference, [&](const RegistryEndpoint& endpoint) {
                                const auto found = head(endpoint, reference);
                                return found ? *found : get(endpoint, reference).descriptor;
                              });
                        });
  }

  RemoteManifest fetch_manifest(const Reference& reference) override {
    return with_context([&] { return "could not fetch the manifest of " + reference.str(); },
                        [&] {
                          return at_an_endpoint(*access_, reference,
                                                [&](const RegistryEndpoint& endpoint) {
                                                  return get(endpoint, reference);
                                                });
                        });
  }

  std::unique_ptr<BlobProvider> blobs(const Reference& repository) override {
    return std::make_unique<RemoteBlobs>(access_, repository);
  }

  bool has_blob(const Reference& repository, const Descriptor& blob) override;
  BlobPush push_blob(const Reference& repository, const Descriptor& blob, BlobProvider& source,
                     const PushOptions& options) override;
  void push_manifest(const Reference& reference, const Descriptor& descriptor,
                     std::string_view bytes) override;
  Credentials login(const std::string& registry, const Credentials& credentials) override {
    return with_context([&] { return "could not log in to " + registry; },
                        [&] { return access_->login(registry, credentials); });
  }

 private:
  std::optional<Descriptor> head(const RegistryEndpoint& endpoint, const Reference& reference);
  RemoteManifest get(const RegistryEndpoint& endpoint, const Reference& reference);

  std::shared_ptr<RegistryAccess> access_;
};

std::optional<Descriptor> CurlRegistryClient::head(const RegistryEndpoint& endpoint,
                                                   const Reference& reference) {
  const auto response = access_->request(
      endpoint,
      {.method = HttpMethod::head, .path = manifest_path(reference), .headers = {accept_header()}});
  const auto digest = digest_header(*response);
  const auto size = response->length();
  Descriptor out;
  out.media_type = content_type(*response);
  if (response->status() != 200 || !digest || !size || !is_known(out.media_type)) {
    return std::nullopt;
  }
  if (reference.digest && *reference.digest != *digest) {
    throw Error(fmt::format("{} answered with the digest {}", endpoint.host, digest->str()),
                ErrorKind::corrupt);
  }
  out.digest = *digest;
  out.size = *size;
  return out;
}

RemoteManifest CurlRegistryClient::get(const RegistryEndpoint& endpoint,
                                       const Reference& reference) {
  const std::string& host = endpoint.host;
  const auto response =
      access_->request(endpoint, {.path = manifest_path(reference), .headers = {accept_header()}});
  if (response->status() != 200) RegistryAccess::fail(endpoint, *response);
  RemoteManifest out;
  out.bytes = read_all(*response, kMaxManifestBytes, "the manifest from " + host);
  out.descriptor.digest = Digest::of(out.bytes);
  out.descriptor.size = out.bytes.size();
  for (const auto& expected : {reference.digest, digest_header(*response)}) {
    if (expected && *expected != out.descriptor.digest) {
      throw Error(fmt::format("{} sent bytes with the digest {}, not {}", host,
                              out.descriptor.digest.str(), expected->str()),
                  ErrorKind::corrupt);
    }
  }
  out.descriptor.media_type = manifest_type(content_type(*response), out.bytes);
  return out;
}

bool CurlRegistryClient::has_blob(const Reference& repository, const Descriptor& blob) {
  return with_context(
      [&] {
        return fmt::format("could not look for {} in {}", blob.digest.str(), repository.name());
      },
      [&] {
        const RegistryEndpoint endpoint = access_->push_endpoint(repository);
        bool present = false;
        access_->http().retry(
            [&] { present = BlobUpload::present(*access_, endpoint, blob, false); });
        return present;
      });
}

BlobPush CurlRegistryClient::push_blob(const Reference& repository, const Descriptor& blob,
                                       BlobProvider& source, const PushOptions& options) {
  return with_context(
      [&] {
        return fmt::format("could not push the blob {} to {}", blob.digest.str(),
                           repository.name());
      },
      [&] {
        const RegistryEndpoint endpoint = access_->push_endpoint(repository);
        return BlobUpload(*access_, endpoint, blob, source, options).run();
      });
}

void CurlRegistryClient::push_manifest(const Reference& reference, const Descriptor& descriptor,
                                       std::string_view bytes) {
  with_context([&] { return "could not push the manifest of " + reference.str(); },
               [&] {
                 if (Digest::of(bytes) != descriptor.digest || bytes.size() != descriptor.size) {
                   throw Error("its bytes are not what its digest says", ErrorKind::corrupt);
                 }
                 const RegistryEndpoint endpoint = access_->push_endpoint(reference);
                 const RegistryRequest request{
                     .method = HttpMethod::put,
                     .path = manifest_path(reference),
                     .headers = {"Content-Type: " + descriptor.media_type},
                     .body = HttpBody::of(std::string(bytes)),
                     .push = true};
                 access_->http().retry([&] {
                   const auto response = access_->request(endpoint, request);
                   const int status = response->status();
                   if (status < 200 || status >= 300) RegistryAccess::fail(endpoint, *response);
                   const auto stored = digest_header(*response);
                   if (stored && *stored != descriptor.digest) {
                     throw Error(fmt::format("{} stored {} as {}", endpoint.host,
                                             descriptor.digest.str(), stored->str()),
                                 ErrorKind::corrupt);
                   }
                 });
               });
}

}  // namespace

std::string RegistryClient::fetch_blob(const Reference& repository, const Descriptor& blob,
                                       uint64_t limit) {
  const std::string name = fmt::format("blob {} of {}", blob.digest.str(), repository.name());
  if (blob.size > limit) {
    throw Error(fmt::format("the {} is larger than {} bytes", name, limit), ErrorKind::corrupt);
  }
  const auto source = blobs(repository)->open(blob);
  std::string bytes = read_all(*source, limit, name);
  if (Digest::of(bytes) != blob.digest) {
    throw Error(fmt::format("the {} has other bytes than its digest says", name),
                ErrorKind::corrupt);
  }
  return bytes;
}

std::optional<Reference> repository_of(const BlobProvider& provider) {
  const auto* remote = dynamic_cast<const RemoteBlobs*>(&provider);
  return remote ? std::optional(remote->repository()) : std::nullopt;
}

std::unique_ptr<RegistryClient> RegistryClient::create(RegistryOptions options) {
  return std::make_unique<CurlRegistryClient>(std::move(options));
}

}  // namespace lade
