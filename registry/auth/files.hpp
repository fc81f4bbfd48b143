// Where registry configuration and credentials are read from: the files of Docker and of podman,
// skopeo and buildah.
#pragma once

#include <string>
#include <vector>

namespace lade {

/// Paths; none of them must exist.
struct RegistryFiles {
  /// registries.conf: the first that exists.
  std::vector<std::string> registries_conf;
  /// registries.conf.d: all of them, one after another. Not used with a user's registries.conf.
  std::vector<std::string> system_drop_ins;
  std::vector<std::string> drop_ins;
  std::string user_registries_conf;  ///< the one of `registries_conf` that shuts out the system's
  /// certs.d: the first that has a directory for a host.
  std::vector<std::string> certificates;
  /// config.json and auth.json files, in the order in which they are asked.
  std::vector<std::string> credentials;
  std::string docker_config;  ///< config.json, which login writes

  /// The user's, by the environment: $CONTAINERS_REGISTRIES_CONF, $DOCKER_CONFIG,
  /// $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR, $XDG_CONFIG_HOME, $HOME.
  static RegistryFiles of_user();
};

/// $HOME, or what the system says.
std::string home_directory();

}  // namespace lade
