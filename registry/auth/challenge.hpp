// What a registry asks for in WWW-Authenticate (RFC 7235, 2.1; distribution's "Token Authentication
// Specification").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lade {

struct BearerChallenge {
  std::string realm;  ///< the URL that gives tokens
  std::string service;
  std::string scope;
};

struct Challenges {
  std::optional<BearerChallenge> bearer;  ///< the first that has a realm
  bool basic = false;
};

/// `header` is untrusted.
Challenges parse_challenges(std::string_view header);

/// One entry for each resource of `scopes` ("repository:app:pull"), with all actions that any of
/// them names for it, in the order of their first appearance.
std::vector<std::string> merge_scopes(const std::vector<std::string>& scopes);

}  // namespace lade
