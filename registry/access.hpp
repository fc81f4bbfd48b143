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

/// A repository at one of the places that serve it.
struct RegistryEndpoint {
  std::string registry;    ///< its name in references and in credentials: "docker.io"
  std::string host;        ///< host[:port] that is asked: "registry-1.docker.io"
  std::string repository;  ///< the repository's name there

  std::string name() const { return host + "/" + repository; }
};

/// One request about a repository.
struct RegistryRequest {
  HttpMethod method = HttpMethod::get;
  std::string path;  ///< below "/v2/REPOSITORY/", or a whole URL that the registry gave
  std::vector<std::string> headers{};
  HttpBody body{};
  bool push = false;                     ///< needs the right to push
  std::vector<std::string> pull_from{};  ///< other repositories that it reads
};

/// Thread-safe.
class RegistryAccess {
 public:
  explicit RegistryAccess(RegistryOptions options);

  /// Where `reference`'s registry itself is.
  RegistryEndpoint endpoint(const Reference& reference) const;

  /// One request, sent again with a token if the registry asks for one. Any status but 429, 5xx and
  /// 401 comes back. Throws as HttpClient::send() does; the caller retries.
  std::unique_ptr<HttpResponse> request(const RegistryEndpoint& endpoint,
                                        const RegistryRequest& request);
  /// The URL that `request` is sent to.
  std::string url(const RegistryEndpoint& endpoint, std::string_view path);

  HttpClient& http() { return *http_; }

  /// Turns an answer that is no success into an Error with the registry's own words.
  [[noreturn]] static void fail(const RegistryEndpoint& endpoint, HttpResponse& response);

 private:
  std::string base_url(const RegistryEndpoint& endpoint);
  bool answers(const std::string& url);

  RegistryOptions options_;
  std::unique_ptr<HttpClient> http_;
  TokenCache tokens_;
  std::mutex mutex_;
  std::map<std::string, std::string> schemes_;  ///< of loopback hosts that were asked
};

}  // namespace lade
