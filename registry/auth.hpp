// Bearer tokens: how registries let strangers read (distribution's "Token Authentication
// Specification").
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "registry/http.hpp"

namespace lade {

/// What a registry asks for in WWW-Authenticate (RFC 7235, 2.1).
struct BearerChallenge {
  std::string realm;  ///< the URL that gives tokens
  std::string service;
  std::string scope;
};

/// The Bearer challenge among those of `header`, nullopt if there is none or it has no realm.
/// `header` is untrusted.
std::optional<BearerChallenge> parse_challenge(std::string_view header);

/// The tokens that were given, by scope. Thread-safe.
class TokenCache {
 public:
  /// The value of an Authorization header, "" if there is no token for `key` yet.
  std::string find(const std::string& key) const;
  /// Asks the challenge's realm for a token and keeps it for `key`. `registry_url` is where the
  /// challenge came from: a registry reached over https may not send lade to a realm that is not.
  std::string fetch(HttpClient& http, const std::string& key, const BearerChallenge& challenge,
                    std::string_view registry_url);

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> tokens_;
};

}  // namespace lade
