// Getting one blob into a repository (distribution-spec, "Pushing blobs").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/auth/access.hpp"
#include "registry/push_options.hpp"
#include "snapshotter/content/content_store.hpp"

namespace lade {

/// One push. For one thread.
class BlobUpload {
 public:
  /// `endpoint` is the repository; all are borrowed.
  BlobUpload(RegistryAccess& access, const RegistryEndpoint& endpoint, const Descriptor& blob,
             BlobProvider& source, const PushOptions& options);

  /// As RegistryClient::push_blob().
  BlobPush run();

  /// HEAD: whether the repository has the blob. `push` asks for the right to push at once, which
  /// what follows will need.
  static bool present(RegistryAccess& access, const RegistryEndpoint& endpoint,
                      const Descriptor& blob, bool push);

 private:
  bool mount(const Reference& from);
  bool mount_at(const RegistryEndpoint& other);
  void begin();
  void upload();
  void upload_once();
  void finish(HttpResponse& response);
  void ask_offset();
  HttpBody body();
  std::unique_ptr<HttpResponse> send(HttpMethod method, const std::string& path,
                                     std::vector<std::string> headers, HttpBody body);
  std::string location(const HttpResponse& response) const;

  RegistryAccess& access_;
  const RegistryEndpoint& endpoint_;
  const Descriptor& blob_;
  BlobProvider& source_;
  const PushOptions& options_;
  /// Of the upload under way: where it goes on, and how much the registry has of it.
  std::string location_;
  uint64_t offset_ = 0;
};

}  // namespace lade
