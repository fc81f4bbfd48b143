// Credentials for registries: config.json of Docker, auth.json of podman, skopeo and buildah, and
// the credential helpers that both name (docker-credential-helpers' protocol).
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "registry/auth/credentials.hpp"
#include "registry/auth/files.hpp"

namespace lade {

/// Reads when first asked. Thread-safe.
class CredentialStore {
 public:
  /// With a `lookup` the files are not read.
  explicit CredentialStore(const RegistryFiles& files, CredentialLookup lookup = {});
  ~CredentialStore();

  /// For `repository` of `registry` (a name as in references: "docker.io", "host:5000"): the entry
  /// of the longest key that matches, of the first file that has one; empty if none has. Throws
  /// Error for files that are no JSON and helpers that fail.
  Credentials find(const std::string& registry, const std::string& repository);

 private:
  struct File;
  const std::vector<File>& files();

  CredentialLookup lookup_;
  std::vector<std::string> paths_;
  std::mutex mutex_;
  std::unique_ptr<std::vector<File>> files_;
};

/// What `lade login` does: with the helper that the file `docker_config` names for the registry, or
/// in the file itself (0600, replaced at once, what lade does not know stays).
/// Returns where they are now, for people: the path, or "the helper NAME".
std::string store_credentials(const std::string& docker_config, const std::string& registry,
                              const Credentials& credentials);
/// `lade logout`: false if there were none.
bool erase_credentials(const std::string& docker_config, const std::string& registry);

/// The key that Docker's files have for a registry: "https://index.docker.io/v1/" for Docker Hub.
std::string credentials_key(const std::string& registry);
/// The registry that a key (or what was typed to login) is for: "https://index.docker.io/v1/" and
/// "index.docker.io" are "docker.io", "https://host/v2/" is "host".
std::string registry_of_key(std::string_view key);

}  // namespace lade
