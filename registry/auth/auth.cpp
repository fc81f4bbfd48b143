#include "registry/auth/auth.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "base/json/json_reader.hpp"
#include "base/text.hpp"
#include "registry/auth/secret_json.hpp"
#include "snapshotter/content/image_config.hpp"

namespace lade {
namespace {

using std::chrono::seconds;

constexpr uint64_t kMaxTokenBytes = 1u << 20;
constexpr const char* kClientId = "lade";
/// The specification's value where a server does not say.
constexpr seconds kDefaultLifetime{60};
/// A token that is about to expire would do so under way.
constexpr seconds kMargin{5};

/// A token goes into a header line, so it may not end one.
bool is_sound_token(std::string_view token) {
  return !token.empty() &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

/// "a=b&c=d" of the pairs that have a value.
std::string form(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    out += fmt::format("{}{}={}", out.empty() ? "" : "&", name, url_encode(value));
  }
  return out;
}

HttpRequest get_request(const TokenRequest& request) {
  std::vector<std::pair<std::string, std::string>> fields = {{"service", request.service}};
  for (const auto& scope : request.scopes) fields.emplace_back("scope", scope);
  HttpRequest out;
  if (!request.credentials.user.empty()) {
    out.authorization = request.credentials.basic();
    fields.emplace_back("account", request.credentials.user);
    if (request.offline) {
      fields.emplace_back("offline_token", "true");
      fields.emplace_back("client_id", kClientId);
    }
  }
  out.url = request.realm;
  if (const std::string query = form(fields); !query.empty()) {
    out.url += (out.url.find('?') == std::string::npos ? "?" : "&") + query;
  }
  return out;
}

/// RFC 6749, 6: refreshing an access token.
HttpRequest post_request(const TokenRequest& request) {
  HttpRequest out;
  out.url = request.realm;
  out.method = HttpMethod::post;
  out.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
  out.body = HttpBody::of(form({{"grant_type", "refresh_token"},
                                {"service", request.service},
                                {"client_id", kClientId},
                                {"scope", join(request.scopes, " ")},
                                {"refresh_token", request.credentials.identity_token}}));
  out.secret_body = true;
  return out;
}

/// How long a token is good for from now on.
seconds lifetime_of(const JsonValue& root) {
  seconds lifetime(std::clamp<int64_t>(root["expires_in"].integer_or_zero(), 0, 7 * 86400));
  if (lifetime < kDefaultLifetime) lifetime = kDefaultLifetime;
  const auto issued = Timestamp::parse(root["issued_at"].string_or_empty());
  if (!issued) return lifetime;
  const seconds age(std::time(nullptr) - issued->seconds);
  // Nobody hands out a token that has expired: then the clocks differ.
  return age > seconds(0) && age < lifetime ? lifetime - age : lifetime;
}

std::string key_of(const RegistryEndpoint& endpoint) {
  return endpoint.host + "/" + endpoint.repository;
}

}  // namespace

Token request_token(HttpClient& http, const TokenRequest& request) {
  HttpRequest asked =
      request.credentials.identity_token.empty() ? get_request(request) : post_request(request);
  asked.headers.emplace_back("Accept: application/json");
  asked.tls = request.tls;
  const auto response = http.send(asked);
  if (response->status() != 200) {
    const std::string text = error_text(*response);
    Error error(fmt::format("{} gave no token: it answered {}{}{}", url_origin(request.realm),
                            response->status(), text.empty() ? "" : ": ", text));
    if (!request.credentials.empty()) error.set_hint("the credentials may be wrong or expired");
    throw error;
  }
  const std::string name = "the token of " + url_origin(request.realm);
  const std::string bytes = read_all(*response, kMaxTokenBytes, name);
  require_json(bytes, name);
  const JsonDocument document(bytes, kMaxTokenBytes, name);
  const JsonValue root = document.root();
  // Docker's name for it, and OAuth2's; they are the same if both are there.
  const JsonValue token = root["token"].present() ? root["token"] : root["access_token"];
  Token out;
  out.value = token.string();
  if (!is_sound_token(out.value)) token.fail("has characters that no token has");
  out.lifetime = lifetime_of(root);
  if (request.offline) out.identity_token = root["refresh_token"].string_or_empty();
  return out;
}

void check_realm(const BearerChallenge& challenge, const std::string& base) {
  if (challenge.realm.starts_with("https://")) return;
  if (challenge.realm.starts_with("http://") && base.starts_with("http://")) return;
  throw Error(fmt::format("{} asks for a token of {}, which is not an https URL", base,
                          quoted(challenge.realm)));
}

std::string realm_host(const BearerChallenge& challenge) {
  const std::string origin = url_origin(challenge.realm);
  return origin.substr(origin.find("://") + 3);
}

Authenticator::Authenticator(HttpClient& http, CredentialStore& credentials, TlsOfRealm tls)
    : http_(http), credentials_(credentials), tls_(std::move(tls)) {}

std::shared_ptr<Authenticator::Slot> Authenticator::slot(const RegistryEndpoint& endpoint,
                                                         const Scopes& scopes) {
  auto& out = slots_[endpoint.host + " " + join(scopes, " ")];
  if (!out) out = std::make_shared<Slot>();
  return out;
}

/// With mutex_ held.
std::string Authenticator::find(const Slot& slot) {
  return Clock::now() < slot.expires ? slot.authorization : "";
}

std::string Authenticator::known(const RegistryEndpoint& endpoint, const Scopes& scopes) {
  const std::lock_guard lock(mutex_);
  if (const auto basic = basic_.find(key_of(endpoint)); basic != basic_.end()) return basic->second;
  return find(*slot(endpoint, scopes));
}

void Authenticator::keep(Slot& slot, const std::string& authorization, Clock::time_point expires) {
  const std::lock_guard lock(mutex_);
  slot.authorization = authorization;
  slot.expires = expires;
}

std::string Authenticator::answer(const RegistryEndpoint& endpoint, const Scopes& scopes,
                                  std::string_view challenge, const std::string& refused,
                                  const std::string& base) {
  const Challenges asked = parse_challenges(challenge);
  if (!asked.bearer && !asked.basic) return "";
  const std::shared_ptr<Slot> mine = [&] {
    const std::lock_guard lock(mutex_);
    return slot(endpoint, scopes);
  }();
  const std::lock_guard asking(mine->asking);
  {
    // Another thread may have got a new one meanwhile.
    const std::lock_guard lock(mutex_);
    const std::string fresh = find(*mine);
    if (!fresh.empty() && fresh != refused) return fresh;
  }
  const Credentials credentials = credentials_.find(endpoint.registry, endpoint.repository);
  if (!credentials.registry_token.empty()) {
    const std::string out = "Bearer " + credentials.registry_token;
    keep(*mine, out, Clock::time_point::max());
    return out == refused ? "" : out;
  }
  if (asked.bearer) return bearer(endpoint, scopes, *asked.bearer, credentials, base, *mine);
  if (credentials.user.empty()) return "";
  const std::string out = credentials.basic();
  const std::lock_guard lock(mutex_);
  basic_[key_of(endpoint)] = out;
  return out == refused ? "" : out;
}

std::string Authenticator::bearer(const RegistryEndpoint& endpoint, const Scopes& scopes,
                                  const BearerChallenge& challenge, const Credentials& credentials,
                                  const std::string& base, Slot& slot) {
  check_realm(challenge, base);
  Scopes wanted;
  // What the registry calls the repository may differ from what it is called in the URL.
  if (!challenge.scope.empty()) wanted = split(challenge.scope, ' ');
  wanted.insert(wanted.end(), scopes.begin(), scopes.end());
  std::erase(wanted, "");
  const Token token = request_token(http_, {.realm = challenge.realm,
                                            .service = challenge.service,
                                            .scopes = merge_scopes(wanted),
                                            .credentials = credentials,
                                            .tls = tls_(endpoint, realm_host(challenge))});
  const std::string out = "Bearer " + token.value;
  keep(slot, out, Clock::now() + std::max(token.lifetime - kMargin, seconds(1)));
  return out;
}

}  // namespace lade
