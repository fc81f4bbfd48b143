// The client of a registry (OCI distribution-spec 1.1): resolve a name, read and write manifests
// and blobs.
// libcurl is loaded with dlopen on the first request, so that a build that needs no registry never
// pays for it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/auth/registry_options.hpp"
#include "registry/push_options.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/descriptor.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// A manifest or index as the registry gave it; `descriptor` is of exactly these bytes.
struct RemoteManifest {
  Descriptor descriptor;
  std::string bytes;
};

/// Thread-safe; calls block (use a thread that may wait). All errors name what was asked for and
/// the host that was asked; ErrorKind::not_found for 404, unavailable for connection failures, 429
/// and 5xx after retries, corrupt for bytes that are not what their digest or the registry's
/// headers say.
///
/// Registries are reached over https; those of this machine (localhost, 127.0.0.0/8, [::1]) over
/// http, or over https if that is what they speak. What is pulled comes from the mirrors that
/// registries.conf names, in their order, and last from the registry itself. Where a registry asks
/// who is there it gets the user's credentials, or a token for them.
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
  /// A small blob (or a manifest, if that is its media type) whole; digest and size are verified.
  /// Error(corrupt) for more than `limit` bytes.
  std::string fetch_blob(const Reference& repository, const Descriptor& blob,
                         uint64_t limit = 16u << 20);

  // -- pushing: to the registry itself, never to a mirror
  virtual bool has_blob(const Reference& repository, const Descriptor& blob) = 0;
  /// Makes sure that the repository has the blob, moving as little as it can: asks whether it is
  /// there, then has it mounted, then uploads it from `source`, in one request; one that was cut
  /// goes on where the registry says it stopped, or starts again. The bytes are verified on their
  /// way: of a blob that is not what its descriptor says the last piece is not sent, and
  /// Error(corrupt) thrown. `source` is opened once per attempt, and not at all if nothing has to
  /// be sent.
  virtual BlobPush push_blob(const Reference& repository, const Descriptor& blob,
                             BlobProvider& source, const PushOptions& options = {}) = 0;
  /// Puts a manifest or index under the reference's digest if it has one, else its tag. What it
  /// refers to must be there. Error(corrupt) if the registry says that it stored something else.
  virtual void push_manifest(const Reference& reference, const Descriptor& descriptor,
                             std::string_view bytes) = 0;

  /// Asks the registry ("docker.io", "host:5000") whether it takes these credentials. Returns what
  /// is to be kept of them: themselves, or an identity token that was given for them.
  virtual Credentials login(const std::string& registry, const Credentials& credentials) = 0;
};

/// The repository that a provider of RegistryClient::blobs() reads, nullopt for any other provider.
std::optional<Reference> repository_of(const BlobProvider& provider);

}  // namespace lade
