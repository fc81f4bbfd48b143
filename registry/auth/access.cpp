#include "registry/auth/access.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "registry/net/certificates.hpp"

namespace lade {
namespace {

Scopes scopes_of(const RegistryEndpoint& endpoint, const RegistryRequest& request) {
  Scopes out = {
      fmt::format("repository:{}:{}", endpoint.repository, request.push ? "pull,push" : "pull")};
  for (const auto& other : request.pull_from) {
    out.push_back(fmt::format("repository:{}:pull", other));
  }
  return out;
}

/// Only the registry's own origin may ask who lade is. A host that it redirects to (a storage
/// service, or whoever has taken over its name) could name a realm of its own, and that realm would
/// be sent the registry's password.
void refuse_foreign_challenge(const RegistryEndpoint& endpoint, const std::string& base,
                              const HttpResponse& response) {
  if (response.status() != 401 || response.origin() == url_origin(base)) return;
  throw Error(
      fmt::format("{} redirects to {}, which asks for credentials; those of {} are for {} alone",
                  endpoint.host, quoted(response.origin()), endpoint.registry, endpoint.host));
}

}  // namespace

RegistryAccess::RegistryAccess(RegistryOptions options)
    : options_(std::move(options)),
      files_(options_.files ? *options_.files : RegistryFiles::of_user()),
      http_(HttpClient::create(options_.http)),
      credentials_(files_, options_.credentials),
      authenticator_(*http_, credentials_,
                     [this](const RegistryEndpoint& endpoint, const std::string& host) {
                       return tls_of_realm(endpoint, host);
                     }) {}

const RegistryConfig& RegistryAccess::config() {
  const std::lock_guard lock(mutex_);
  if (!config_) {
    config_ = RegistryConfig::load(files_);
    for (const auto& rule : options_.rules) config_->add(rule);
  }
  return *config_;
}

std::vector<RegistryEndpoint> RegistryAccess::pull_endpoints(const Reference& reference) {
  auto out = config().pull_endpoints(reference);
  for (auto& endpoint : out) endpoint.insecure = endpoint.insecure || options_.insecure;
  const std::lock_guard lock(mutex_);
  const auto last = out.end() - 1;
  out.erase(std::remove_if(out.begin(), last,
                           [&](const auto& mirror) { return away_.contains(mirror.host); }),
            last);
  return out;
}

RegistryEndpoint RegistryAccess::push_endpoint(const Reference& reference) {
  RegistryEndpoint out = config().push_endpoint(reference);
  out.insecure = out.insecure || options_.insecure;
  return out;
}

void RegistryAccess::note_away(const RegistryEndpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  away_.insert(endpoint.host);
}

std::shared_ptr<const TlsOptions> RegistryAccess::tls(const RegistryEndpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  auto& out = tls_[{endpoint.registry, endpoint.insecure}];
  if (!out) {
    TlsOptions made = host_certificates(files_.certificates, endpoint.registry);
    if (endpoint.insecure) made.verify = false;
    out = std::make_shared<const TlsOptions>(std::move(made));
  }
  return out;
}

/// A token server mostly has a certificate of the registry's own authority. The client certificate
/// is for the registry alone.
std::shared_ptr<const TlsOptions> RegistryAccess::tls_of_realm(const RegistryEndpoint& endpoint,
                                                               const std::string& host) {
  auto own = tls(endpoint);
  if (host == endpoint.host) return own;
  TlsOptions out = host_certificates(files_.certificates, host);
  out.ca += own->ca;
  out.verify = own->verify;
  return std::make_shared<const TlsOptions>(std::move(out));
}

std::unique_ptr<HttpResponse> RegistryAccess::send(const RegistryEndpoint& endpoint,
                                                   const HttpRequest& request) {
  try {
    return http_->send(request);
  } catch (UntrustedError& error) {
    error.set_hint(fmt::format(
        "put the certificate of its authority into /etc/containers/certs.d/{}/ca.crt, or say "
        "insecure = true for it in registries.conf",
        endpoint.registry));
    throw;
  }
}

/// True if `url` speaks a registry's protocol; a TLS server answers 400 to a request in the clear.
bool RegistryAccess::answers(const RegistryEndpoint& endpoint, const std::string& url) {
  try {
    HttpRequest request;
    request.url = url + "/v2/";
    request.tls = tls(endpoint);
    return send(endpoint, request)->status() != 400;
  } catch (const OverloadedError&) {
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Registries of this machine mostly speak plain http. Trying that first spares them the loading of
/// all certificate authorities, which takes longer than everything else. Elsewhere the clear is the
/// last resort of those who allow it.
std::string RegistryAccess::base_url(const RegistryEndpoint& endpoint) {
  const std::string plain = "http://" + endpoint.host;
  const std::string secure = "https://" + endpoint.host;
  const bool loopback = is_loopback(endpoint.host);
  // An own authority says that the registry is to prove who it is.
  const bool own_authority = loopback && !tls(endpoint)->ca.empty();
  if (!endpoint.insecure && (!loopback || own_authority)) return secure;
  {
    const std::lock_guard lock(mutex_);
    const auto known = schemes_.find(endpoint.host);
    if (known != schemes_.end()) return known->second;
  }
  const std::vector<std::string> order =
      loopback ? std::vector{plain, secure} : std::vector{secure, plain};
  for (const auto& base : order) {
    if (!answers(endpoint, base)) continue;
    const std::lock_guard lock(mutex_);
    return schemes_[endpoint.host] = base;
  }
  // Nobody answers (yet): the request itself finds out why.
  return order.front();
}

std::string RegistryAccess::url(const RegistryEndpoint& endpoint, std::string_view path) {
  if (path.find("://") != std::string_view::npos) return std::string(path);
  return fmt::format("{}/v2/{}/{}", base_url(endpoint), endpoint.repository, path);
}

std::unique_ptr<HttpResponse> RegistryAccess::request(const RegistryEndpoint& endpoint,
                                                      const RegistryRequest& request) {
  const std::string base = base_url(endpoint);
  const Scopes scopes = scopes_of(endpoint, request);
  HttpRequest sent;
  sent.url = url(endpoint, request.path);
  sent.method = request.method;
  sent.headers = request.headers;
  sent.body = request.body;
  sent.large = request.large;
  sent.tls = tls(endpoint);
  // An upload's location may be on another host, which has no use for this one's credentials.
  const bool own = url_origin(sent.url) == url_origin(base);
  if (!own) {
    auto foreign = *sent.tls;
    foreign.certificate.clear();
    sent.tls = std::make_shared<const TlsOptions>(std::move(foreign));
    return send(endpoint, sent);
  }
  sent.authorization = authenticator_.known(endpoint, scopes);
  auto response = send(endpoint, sent);
  if (response->status() != 401) return response;
  refuse_foreign_challenge(endpoint, base, *response);
  // No authorization yet, or one that has expired.
  const std::string authorization = authenticator_.answer(
      endpoint, scopes, response->header("www-authenticate"), sent.authorization, base);
  if (authorization.empty()) fail(endpoint, *response);
  sent.authorization = authorization;
  response = send(endpoint, sent);
  refuse_foreign_challenge(endpoint, base, *response);
  if (response->status() == 401) fail(endpoint, *response);
  return response;
}

Credentials RegistryAccess::login(const std::string& registry, const Credentials& credentials) {
  RegistryEndpoint endpoint = push_endpoint({registry, "login", "", {}});
  const std::string base = base_url(endpoint);
  HttpRequest sent;
  sent.url = base + "/v2/";
  sent.tls = tls(endpoint);
  auto response = send(endpoint, sent);
  if (response->status() == 200) return credentials;  // asks nobody who they are
  if (response->status() != 401) fail(endpoint, *response);
  refuse_foreign_challenge(endpoint, base, *response);
  const Challenges asked = parse_challenges(response->header("www-authenticate"));
  Credentials kept = credentials;
  if (asked.bearer) {
    check_realm(*asked.bearer, base);
    const Token token =
        request_token(*http_, {.realm = asked.bearer->realm,
                               .service = asked.bearer->service,
                               .scopes = {},
                               .credentials = credentials,
                               .tls = tls_of_realm(endpoint, realm_host(*asked.bearer)),
                               .offline = true});
    sent.authorization = "Bearer " + token.value;
    if (!token.identity_token.empty()) {
      kept.password.clear();
      kept.identity_token = token.identity_token;
    }
  } else if (asked.basic) {
    sent.authorization = credentials.basic();
  } else {
    fail(endpoint, *response);
  }
  response = send(endpoint, sent);
  if (response->status() == 401) {
    throw Error(fmt::format("{} does not take this user and password", endpoint.host));
  }
  if (response->status() != 200) fail(endpoint, *response);
  return kept;
}

void RegistryAccess::fail(const RegistryEndpoint& endpoint, HttpResponse& response) {
  const int status = response.status();
  const std::string text = error_text(response);
  Error error(
      fmt::format("{} answered {}{}{}", endpoint.host, status, text.empty() ? "" : ": ", text));
  if (status == 404) error.set_kind(ErrorKind::not_found);
  if (status == 401 || status == 403) {
    error.set_hint(
        fmt::format("the repository does not exist, or it needs credentials (lade login {})",
                    endpoint.registry));
  }
  throw error;
}

Error with_failures(const Error& error, const std::string& failures) {
  Error out(fmt::format("{} (asked before: {})", error.message(), failures), error.kind());
  out.set_hint(error.hint());
  return out;
}

}  // namespace lade
