// Where steps with a network of their own get, as whoever asked for the build says.
#pragma once

#include <vector>

#include "base/address_range.hpp"

namespace lade {

struct NetworkReach {
  /// What they cannot reach, beside this machine itself.
  std::vector<AddressRange> deny = {};
  /// Addresses of this machine that they may reach after all (--add-host NAME:host-gateway). Never
  /// loopback's.
  std::vector<AddressRange> grant = {};
};

}  // namespace lade
