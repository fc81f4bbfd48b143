// Objects in a bucket of Amazon S3, or of a server that speaks its protocol (MinIO, Ceph, moto).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/stream.hpp"
#include "registry/net/http.hpp"
#include "registry/s3/aws_config.hpp"
#include "snapshotter/content/content_store.hpp"
#include "snapshotter/content/descriptor.hpp"

namespace lade {

/// Where a bucket is, and who asks for it.
struct S3Options {
  std::string bucket;
  std::string region;        ///< empty: as AwsConfig says
  std::string endpoint_url;  ///< empty: as AwsConfig says, else Amazon's for the region
  /// The bucket in the path of URLs instead of in the host's name. Always done where the endpoint
  /// is an address or the bucket's name cannot be part of a host's.
  bool use_path_style = false;
  std::optional<AwsCredentials> credentials;  ///< absent: as AwsConfig says
};

/// What the server says of an object.
struct S3Object {
  uint64_t size = 0;
  std::optional<int64_t> modified;  ///< seconds since 1970
};

/// Thread-safe; calls block. Errors as a RegistryClient's: not_found, unavailable, corrupt. What
/// passes is tried again; nothing is followed to another host. Credentials are looked for when the
/// first request is made.
class S3Client : public std::enable_shared_from_this<S3Client> {
 public:
  static std::shared_ptr<S3Client> create(S3Options options, HttpOptions http = {});

  /// nullopt if there is no such object.
  std::optional<S3Object> head(const std::string& key);
  /// A small object whole; nullopt if there is none. Error(corrupt) for more than `limit` bytes.
  std::optional<std::string> get(const std::string& key, uint64_t limit);
  /// The blob that is stored as `key`. What is read goes on where a lost connection stopped; the
  /// reader verifies the digest.
  std::unique_ptr<ByteSource> open(const std::string& key, const Descriptor& blob);
  void put(const std::string& key, std::string_view bytes, std::string_view content_type);
  /// In one request or, if it is large, in parts, of which one at a time is in memory. The bytes
  /// are verified on their way; nothing is visible before they are all there.
  void put_blob(const std::string& key, const Descriptor& blob, BlobProvider& source);
  /// Makes the object as young as a new one (copies it onto itself), for rules that remove old
  /// ones. Objects of more than 5 GiB stay as they are: S3 copies no larger ones at once.
  void touch(const std::string& key, const S3Object& object);

  std::string where() const;  ///< "s3://BUCKET", for messages

 private:
  friend class S3Source;
  struct Request;
  struct Endpoint;
  S3Client(S3Options options, HttpOptions http);
  const Endpoint& endpoint();
  std::unique_ptr<HttpResponse> send(const Request& request);
  void put_in_parts(const std::string& key, const Descriptor& blob, BlobProvider& source);
  std::string put_part(const std::string& key, const std::string& upload, size_t number,
                       std::shared_ptr<const std::string> bytes);
  void complete(const std::string& key, const std::string& upload, const Descriptor& blob,
                const std::vector<std::string>& tags);
  [[noreturn]] void fail(HttpResponse& response);
  [[noreturn]] void fail(int status, std::string_view body);

  const S3Options options_;
  std::unique_ptr<HttpClient> http_;
  std::mutex mutex_;  ///< guards endpoint_ while it is made
  std::unique_ptr<Endpoint> endpoint_;
};

}  // namespace lade
