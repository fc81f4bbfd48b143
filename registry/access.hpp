// How a repository is reached: which host, by which scheme, with which token. Shared by a client
// and all that it handed out.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "registry/auth.hpp"
#include "registry/client.hpp"
#include "registry/http.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// Thread-safe.
class RegistryAccess {
 public:
  explicit RegistryAccess(RegistryOptions options);

  /// One request for "/v2/REPOSITORY/`path`", sent again with a token if the registry asks for one.
  /// Any status but 429, 5xx and 401 comes back. Throws as HttpClient::send() does; the caller
  /// retries.
  std::unique_ptr<HttpResponse> request(const Reference& reference, std::string_view path,
                                        std::vector<std::string> headers, bool head = false);

  /// The host that is asked for `reference`'s registry.
  std::string host(const Reference& reference) const;
  HttpClient& http() { return *http_; }

  /// Turns an answer that is no success into an Error with the registry's own words.
  [[noreturn]] static void fail(const std::string& host, HttpResponse& response);

 private:
  std::string base_url(const std::string& host);
  bool answers(const std::string& url);

  RegistryOptions options_;
  std::unique_ptr<HttpClient> http_;
  TokenCache tokens_;
  std::mutex mutex_;
  std::map<std::string, std::string> schemes_;  ///< of loopback hosts that were asked
};

}  // namespace lade
