// Which network a step has, and how far it gets, as whoever asked for the build says.
#pragma once

#include <vector>

#include "base/address_range.hpp"

namespace lade {

enum class NetworkMode {
  sandbox,  ///< own network namespace, outbound access, no way to the host itself
  none,     ///< own network namespace with loopback only
  host,     ///< the host's network namespace
};

struct NetworkReach {
  /// What they cannot reach, beside this machine itself.
  std::vector<AddressRange> deny = {};
  /// Addresses of this machine that they may reach after all (--add-host NAME:host-gateway). Never
  /// loopback's.
  std::vector<AddressRange> grant = {};
};

}  // namespace lade
