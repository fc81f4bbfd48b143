// The content store: blobs by digest, immutable once there (STATE/blobs/sha256/<hex>).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/stream.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {

/// Bytes on their way into the store. Nothing is visible under a digest before commit(); an
/// abandoned ingest leaves nothing. Several processes may ingest the same blob at once: the last
/// rename wins with the same bytes.
class Ingest : public ByteSink {
 public:
  /// Makes the blob visible and returns its digest and size (media type empty). If `expected` is
  /// given and its digest or size differ, throws Error(corrupt) naming both and stores nothing.
  virtual Descriptor commit(const Descriptor* expected = nullptr) = 0;
};

/// Thread-safe.
class ContentStore {
 public:
  /// `root` is the state directory; makes blobs/ and tmp/ below it.
  static std::unique_ptr<ContentStore> open(const std::string& root);
  virtual ~ContentStore() = default;

  virtual bool has(const Digest& digest) const = 0;
  virtual std::optional<uint64_t> size(const Digest& digest) const = 0;
  /// nullopt if there is no such blob.
  virtual std::optional<UniqueFd> open_blob(const Digest& digest) const = 0;
  /// Reads a small blob whole (manifests, configs) and checks its digest; Error(not_found) if
  /// missing.
  virtual std::string read_blob(const Digest& digest, uint64_t limit = 16u << 20) const = 0;
  virtual std::string path(const Digest& digest) const = 0;
  virtual std::unique_ptr<Ingest> ingest() = 0;
  /// Stores `bytes`; returns {media_type, digest, size}.
  Descriptor put(std::string_view bytes, std::string_view media_type);
  /// A missing blob is fine.
  virtual void remove(const Digest& digest) = 0;
  /// Reads the blob whole and removes it if its bytes do not have its digest. True if it is not
  /// (any longer) here.
  bool remove_if_damaged(const Digest& digest);
};

/// A place that can give a blob's bytes: the content store, an OCI layout, a registry. Thread-safe.
/// The reader checks digest and size; the provider need not.
class BlobProvider {
 public:
  virtual ~BlobProvider() = default;
  /// Throws Error(not_found) if it does not have it, Error(unavailable) if it cannot be reached.
  virtual std::unique_ptr<ByteSource> open(const Descriptor& descriptor) = 0;
  /// For messages and records: "docker.io/library/debian", "oci-layout:/path".
  virtual std::string where() const = 0;
};

/// The blobs of the content store, which outlives it.
std::shared_ptr<BlobProvider> local_blobs(ContentStore& content);

}  // namespace lade
