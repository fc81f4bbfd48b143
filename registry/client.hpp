// The client of a registry (OCI distribution-spec 1.1): resolve a name, read manifests and blobs.
// libcurl is loaded with dlopen on the first request, so that a build that needs no registry never
// pays for it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "registry/http.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/descriptor.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// A manifest or index as the registry gave it; `descriptor` is of exactly these bytes.
struct RemoteManifest {
  Descriptor descriptor;
  std::string bytes;
};

struct RegistryOptions {
  /// A registry's name in references ("docker.io") -> the host[:port] that is asked in its place.
  std::map<std::string, std::string> mirrors;
  HttpOptions http;
};

/// Thread-safe; calls block (use a thread that may wait). All errors name what was asked for and
/// the host that was asked; ErrorKind::not_found for 404, unavailable for connection failures, 429
/// and 5xx after retries, corrupt for bytes that are not what their digest or the registry's
/// headers say.
///
/// Registries are reached over https; those of this machine (localhost, 127.0.0.0/8, [::1]) over
/// http, or over https if that is what they speak. Reads as anybody may: with a bearer token if the
/// registry asks for one.
class RegistryClient {
 public:
  static std::unique_ptr<RegistryClient> create(RegistryOptions options = {});
  virtual ~RegistryClient() = default;

  /// What a tag (or digest) is at this moment: by HEAD, or by GET where a registry does not say
  /// enough.
  virtual Descriptor resolve(const Reference& reference) = 0;
  /// A manifest or index (at most 4 MiB) by the reference's digest, else its tag; the digest is
  /// verified.
  virtual RemoteManifest fetch_manifest(const Reference& reference) = 0;
  /// The blobs of one repository, for LayerStore. A source that it opens goes on where a cut
  /// connection stopped, and throws Error(corrupt) if the blob's size is not the descriptor's; its
  /// reader verifies the digest. Providers and sources may outlive the client.
  virtual std::unique_ptr<BlobProvider> blobs(const Reference& repository) = 0;
};

}  // namespace lade
