// What registries know their users by.
#pragma once

#include <functional>
#include <string>

namespace lade {

/// Never printed, logged or put into an Error.
struct Credentials {
  std::string user;
  std::string password;
  std::string identity_token;  ///< an OAuth2 refresh token, in place of user and password
  std::string registry_token;  ///< a bearer token for the registry itself

  bool empty() const {
    return user.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
  /// The value of an Authorization header (RFC 7617).
  std::string basic() const;
  bool operator==(const Credentials&) const = default;
};

/// Gives credentials in the files' place. Called from several threads; may throw Error.
using CredentialLookup =
    std::function<Credentials(const std::string& registry, const std::string& repository)>;

}  // namespace lade
