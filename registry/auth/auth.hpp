// Who lade is to a registry: bearer tokens and basic authentication (distribution's "Token
// Authentication Specification", and its OAuth2 form for identity tokens).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "registry/auth/challenge.hpp"
#include "registry/auth/credential_store.hpp"
#include "registry/net/endpoint.hpp"
#include "registry/net/http.hpp"

namespace lade {

/// What a request needs to be allowed: "repository:app:pull,push", one for each repository.
using Scopes = std::vector<std::string>;

/// What is sent to a realm that gives tokens.
struct TokenRequest {
  std::string realm;
  std::string service;
  Scopes scopes;
  Credentials credentials;
  std::shared_ptr<const TlsOptions> tls;
  /// Asks for an identity token to keep, as login does; needs user and password.
  bool offline = false;
};

struct Token {
  std::string value;
  std::chrono::seconds lifetime{};
  std::string identity_token;  ///< if one was asked for and given
};

/// By POST with an identity token, else by GET, as user if there is one. Throws as
/// HttpClient::send() does, and Error for what is no token; never with anything secret in it.
Token request_token(HttpClient& http, const TokenRequest& request);

/// Throws Error for a realm that is no https URL, unless the registry at `base` is itself reached
/// over http.
void check_realm(const BearerChallenge& challenge, const std::string& base);
/// host[:port] of the challenge's realm.
std::string realm_host(const BearerChallenge& challenge);

/// Gives and keeps authorizations, by host and scopes, until they expire. Thread-safe; several
/// threads that need the same token ask for it once.
class Authenticator {
 public:
  /// Gives what the host of a realm that the endpoint's registry names is to be checked with.
  using TlsOfRealm = std::function<std::shared_ptr<const TlsOptions>(const RegistryEndpoint&,
                                                                     const std::string& host)>;

  Authenticator(HttpClient& http, CredentialStore& credentials, TlsOfRealm tls);

  /// The value of an Authorization header for a request; "" if none is known yet.
  std::string known(const RegistryEndpoint& endpoint, const Scopes& scopes);

  /// The same after the registry at `base` refused `refused` (maybe "") with `challenge`. "" if
  /// there is nothing that could help. Throws as check_realm() and request_token() do.
  std::string answer(const RegistryEndpoint& endpoint, const Scopes& scopes,
                     std::string_view challenge, const std::string& refused,
                     const std::string& base);

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    std::mutex asking;  ///< held while a token is asked for
    std::string authorization;
    Clock::time_point expires = Clock::time_point::max();
  };
  std::shared_ptr<Slot> slot(const RegistryEndpoint& endpoint, const Scopes& scopes);
  std::string find(const Slot& slot);
  std::string bearer(const RegistryEndpoint& endpoint, const Scopes& scopes,
                     const BearerChallenge& challenge, const Credentials& credentials,
                     const std::string& base, Slot& slot);
  void keep(Slot& slot, const std::string& authorization, Clock::time_point expires);

  HttpClient& http_;
  CredentialStore& credentials_;
  TlsOfRealm tls_;
  std::mutex mutex_;  ///< guards what follows and what the slots hold
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::map<std::string, std::string> basic_;  ///< by host and repository
};

}  // namespace lade
