// How a repository is reached: at which hosts, by which scheme, as whom. Shared by a client and all
// that it handed out.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "registry/auth/auth.hpp"
#include "registry/auth/config.hpp"
#include "registry/auth/credential_store.hpp"
#include "registry/auth/registry_options.hpp"
#include "registry/net/endpoint.hpp"
#include "registry/net/http.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {

/// One request about a repository.
struct RegistryRequest {
  HttpMethod method = HttpMethod::get;
  std::string path;  ///< below "/v2/REPOSITORY/", or a whole URL that the registry gave
  std::vector<std::string> headers{};
  HttpBody body{};
  bool large = false;                    ///< HttpRequest's
  bool push = false;                     ///< needs the right to push
  std::vector<std::string> pull_from{};  ///< other repositories that it reads
};

/// Thread-safe. Reads configuration and credentials when they are first needed.
class RegistryAccess {
 public:
  explicit RegistryAccess(RegistryOptions options);

  /// Where to pull from, the places to be tried in this order: mirrors first, without those that
  /// were found to be away. Never empty.
  std::vector<RegistryEndpoint> pull_endpoints(const Reference& reference);
  RegistryEndpoint push_endpoint(const Reference& reference);
  /// Says that the endpoint could not be reached: it is not tried again as a mirror.
  void note_away(const RegistryEndpoint& endpoint);

  /// One request, sent again with an authorization if the registry asks for one. Any status but
  /// 429, 5xx and 401 comes back. Throws as HttpClient::send() does; the caller retries.
  std::unique_ptr<HttpResponse> request(const RegistryEndpoint& endpoint,
                                        const RegistryRequest& request);
  /// The URL that a request for `path` is sent to.
  std::string url(const RegistryEndpoint& endpoint, std::string_view path);

  /// Whether `credentials` are good for the registry, by its own word at /v2/ (and that of the
  /// realm it names). Returns what is to be kept: they themselves, or an identity token given for
  /// them. Throws Error if the registry refuses them or cannot be asked.
  Credentials login(const std::string& registry, const Credentials& credentials);

  HttpClient& http() { return *http_; }

  /// Turns an answer that is no success into an Error with the registry's own words.
  [[noreturn]] static void fail(const RegistryEndpoint& endpoint, HttpResponse& response);

 private:
  const RegistryConfig& config();
  std::unique_ptr<HttpResponse> send(const RegistryEndpoint& endpoint, const HttpRequest& request);
  std::string base_url(const RegistryEndpoint& endpoint);
  bool answers(const RegistryEndpoint& endpoint, const std::string& url);
  std::shared_ptr<const TlsOptions> tls(const RegistryEndpoint& endpoint);
  std::shared_ptr<const TlsOptions> tls_of_realm(const RegistryEndpoint& endpoint,
                                                 const std::string& host);

  RegistryOptions options_;
  RegistryFiles files_;
  std::unique_ptr<HttpClient> http_;
  CredentialStore credentials_;
  Authenticator authenticator_;
  std::mutex mutex_;  ///< guards what follows
  std::optional<RegistryConfig> config_;
  std::map<std::string, std::string> schemes_;  ///< of hosts where both are possible
  std::map<std::pair<std::string, bool>, std::shared_ptr<const TlsOptions>> tls_;
  std::set<std::string> away_;
};

/// `error` of the last endpoint that was asked, with what those before it said.
Error with_failures(const Error& error, const std::string& failures);

}  // namespace lade
