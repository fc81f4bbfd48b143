// The places that serve a repository.
#pragma once

#include <string>

namespace lade {

/// A repository at one of them.
struct RegistryEndpoint {
  std::string registry;    ///< its name in references and in credentials: "docker.io"
  std::string host;        ///< host[:port] that is asked: "registry-1.docker.io"
  std::string repository;  ///< the repository's name there
  bool insecure = false;   ///< plain http and unverified certificates will do

  std::string name() const { return registry + "/" + repository; }
  bool operator==(const RegistryEndpoint&) const = default;
};

}  // namespace lade
