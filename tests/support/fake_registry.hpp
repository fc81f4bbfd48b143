// A registry in memory that does what the distribution-spec says, and what it is told to do wrong.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/http_server.hpp"

namespace lade::test {

/// Manifests and blobs are by repository, so that nothing is found where it was not pushed.
class FakeRegistry {
 public:
  explicit FakeRegistry(const std::string& address = "127.0.0.1");

  std::string host() const { return server_.host(); }
  std::string url() const { return server_.url(); }
  HttpServer& server() { return server_; }

  void add_blob(const std::string& repository, const std::string& bytes);
  /// The bytes that `repository` has under the digest; nullopt if none.
  std::optional<std::string> blob(const std::string& repository, const std::string& digest) const;
  /// {Content-Type, bytes} under a tag or digest.
  std::optional<std::pair<std::string, std::string>> manifest(const std::string& repository,
                                                              const std::string& reference) const;
  /// "POST", "PUT /blobs/uploads/", ...: how many requests had the method and the text.
  size_t count(const std::string& method, const std::string& text = "") const;
  uint64_t uploaded_bytes() const;  ///< of all bodies that came, also of those that were cut

  /// Called first; a reply is sent in place of the registry's own.
  std::function<std::optional<HttpServerReply>(const HttpServerRequest&)> bend;
  bool resumable = true;    ///< knows how much of a cut upload it has
  bool mounts = true;       ///< takes blobs of other repositories
  std::string upload_base;  ///< where uploads go, if not to this host

 private:
  struct Upload {
    std::string repository;
    std::string bytes;
  };
  HttpServerReply answer(const HttpServerRequest& request);
  HttpServerReply answer_blob(const HttpServerRequest& request, const std::string& repository,
                              const std::string& rest);
  HttpServerReply start_upload(const std::string& repository, const std::string& query);
  HttpServerReply upload(const HttpServerRequest& request, const std::string& id,
                         const std::string& query);
  HttpServerReply answer_manifest(const HttpServerRequest& request, const std::string& repository,
                                  const std::string& reference);
  HttpServerReply accepted(const std::string& id) const;

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::string> blobs_;
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> manifests_;
  std::map<std::string, Upload> uploads_;
  int next_upload_ = 1;
  HttpServer server_;
};

}  // namespace lade::test
