#include "registry/access.hpp"

#include <fmt/format.h>

namespace lade {

RegistryAccess::RegistryAccess(RegistryOptions options)
    : options_(std::move(options)), http_(HttpClient::create(options_.http)) {}

std::string RegistryAccess::host(const Reference& reference) const {
  if (const auto mirror = options_.mirrors.find(reference.registry);
      mirror != options_.mirrors.end()) {
    return mirror->second;
  }
  // Docker Hub's name in references is not where its registry is.
  return reference.registry == "docker.io" ? "registry-1.docker.io" : reference.registry;
}

/// True if `url` speaks a registry's protocol; a TLS server answers 400 to a request in the clear.
bool RegistryAccess::answers(const std::string& url) {
  try {
    return http_->send({url + "/v2/", false, {}, ""})->status() != 400;
  } catch (const Error&) {
    return false;
  }
}

/// Registries of this machine mostly speak plain http. Trying that first spares them the loading of
/// all certificate authorities, which takes longer than everything else.
std::string RegistryAccess::base_url(const std::string& host) {
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

std::unique_ptr<HttpResponse> RegistryAccess::request(const Reference& reference,
                                                      std::string_view path,
                                                      std::vector<std::string> headers, bool head) {
  const std::string registry = host(reference);
  const std::string base = base_url(registry);
  const std::string token_key = registry + "/" + reference.repository;
  HttpRequest request;
  request.url = fmt::format("{}/v2/{}/{}", base, reference.repository, path);
  request.head = head;
  request.headers = std::move(headers);
  request.authorization = tokens_.find(token_key);
  auto response = http_->send(request);
  if (response->status() != 401) return response;
  // No token yet, or one that has expired.
  auto challenge = parse_challenge(response->header("www-authenticate"));
  if (!challenge) fail(registry, *response);
  if (challenge->scope.empty()) {
    challenge->scope = fmt::format("repository:{}:pull", reference.repository);
  }
  request.authorization = tokens_.fetch(*http_, token_key, *challenge, base);
  response = http_->send(request);
  if (response->status() == 401) fail(registry, *response);
  return response;
}

void RegistryAccess::fail(const std::string& host, HttpResponse& response) {
  const int status = response.status();
  const std::string text = error_text(response);
  Error error(fmt::format("{} answered {}{}{}", host, status, text.empty() ? "" : ": ", text));
  if (status == 404) error.set_kind(ErrorKind::not_found);
  if (status == 401 || status == 403) {
    error.set_hint("the repository does not exist, or reading it needs credentials");
  }
  throw error;
}

}  // namespace lade
