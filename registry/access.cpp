#include "registry/access.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace lade {

RegistryAccess::RegistryAccess(RegistryOptions options)
    : options_(std::move(options)), http_(HttpClient::create(options_.http)) {}

RegistryEndpoint RegistryAccess::endpoint(const Reference& reference) const {
  RegistryEndpoint out{reference.registry, reference.registry, reference.repository};
  if (const auto mirror = options_.mirrors.find(reference.registry);
      mirror != options_.mirrors.end()) {
    out.host = mirror->second;
  } else if (reference.registry == "docker.io") {
    // Docker Hub's name in references is not where its registry is.
    out.host = "registry-1.docker.io";
  }
  return out;
}

/// True if `url` speaks a registry's protocol; a TLS server answers 400 to a request in the clear.
bool RegistryAccess::answers(const std::string& url) {
  try {
    return http_->send({url + "/v2/", HttpMethod::get, {}, ""})->status() != 400;
  } catch (const Error&) {
    return false;
  }
}

/// Registries of this machine mostly speak plain http. Trying that first spares them the loading of
/// all certificate authorities, which takes longer than everything else.
std::string RegistryAccess::base_url(const RegistryEndpoint& endpoint) {
  const std::string& host = endpoint.host;
  if (!is_loopback(host)) return "https://" + host;
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = schemes_.find(host); known != schemes_.end()) return known->second;
  }
  const std::string plain = "http://" + host;
  const std::string secure = "https://" + host;
  if (answers(plain)) {
    const std::lock_guard lock(mutex_);
    return schemes_[host] = plain;
  }
  if (answers(secure)) {
    const std::lock_guard lock(mutex_);
    return schemes_[host] = secure;
  }
  // Nobody answers (yet): the request itself finds out why.
  return plain;
}

std::string RegistryAccess::url(const RegistryEndpoint& endpoint, std::string_view path) {
  if (path.find("://") != std::string_view::npos) return std::string(path);
  return fmt::format("{}/v2/{}/{}", base_url(endpoint), endpoint.repository, path);
}

std::unique_ptr<HttpResponse> RegistryAccess::request(const RegistryEndpoint& endpoint,
                                                      const RegistryRequest& request) {
  const std::string base = base_url(endpoint);
  std::vector<std::string> scopes = {
      fmt::format("repository:{}:{}", endpoint.repository, request.push ? "pull,push" : "pull")};
  for (const auto& other : request.pull_from) {
    scopes.push_back(fmt::format("repository:{}:pull", other));
  }
  const std::string token_key = endpoint.host + " " + join(scopes, " ");
  HttpRequest sent;
  sent.url = url(endpoint, request.path);
  sent.method = request.method;
  sent.headers = request.headers;
  sent.body = request.body;
  // An upload's location may be on another host, which has no use for this one's token.
  const bool own = url_origin(sent.url) == url_origin(base);
  if (own) sent.authorization = tokens_.find(token_key);
  auto response = http_->send(sent);
  if (response->status() != 401 || !own) return response;
  // No token yet, or one that has expired.
  auto challenge = parse_challenge(response->header("www-authenticate"));
  if (!challenge) fail(endpoint, *response);
  challenge->scope = join(scopes, " ");
  sent.authorization = tokens_.fetch(*http_, token_key, *challenge, base);
  response = http_->send(sent);
  if (response->status() == 401) fail(endpoint, *response);
  return response;
}

void RegistryAccess::fail(const RegistryEndpoint& endpoint, HttpResponse& response) {
  const int status = response.status();
  const std::string text = error_text(response);
  Error error(
      fmt::format("{} answered {}{}{}", endpoint.host, status, text.empty() ? "" : ": ", text));
  if (status == 404) error.set_kind(ErrorKind::not_found);
  if (status == 401 || status == 403) {
    error.set_hint(
        fmt::format("the repository does not exist, or needs other credentials (lade login {})",
                    endpoint.registry));
  }
  throw error;
}

}  // namespace lade
