#pragma once

#include <optional>
#include <vector>

#include "registry/auth/config.hpp"
#include "registry/auth/credentials.hpp"
#include "registry/auth/files.hpp"
#include "registry/net/http.hpp"

namespace lade {

struct RegistryOptions {
  /// Where configuration and credentials are; absent: the user's. Read at the first request.
  std::optional<RegistryFiles> files{};
  /// In place of the files' credentials; may be empty.
  CredentialLookup credentials{};
  /// Beats the files' rules where a prefix is the same.
  std::vector<RegistryRule> rules{};
  /// Plain http and unverified certificates will do, whatever the configuration says.
  bool insecure = false;
  HttpOptions http{};
};

}  // namespace lade
