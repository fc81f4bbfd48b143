// The proxies that Docker's config.json has for builds and containers.
#pragma once

#include <map>
#include <string>

namespace lade {

/// By variable ("HTTP_PROXY"), of the entry for `host`, or else "default"; empty ones are left out.
/// Nothing if there is no such file. Throws Error for a file that is not JSON.
std::map<std::string, std::string> configured_proxies(const std::string& docker_config,
                                                      const std::string& host);

/// What docker calls the daemon that it talks to: $DOCKER_HOST or its default socket.
std::string docker_host();

}  // namespace lade
