// The address at which steps and containers reach this machine.
#pragma once

#include <string>
#include <vector>

#include "base/address_range.hpp"

namespace lade {

/// This machine's own address towards its default route, or else any that is not loopback's:
/// services that listen at all addresses answer there, those of loopback do not. Throws Error if
/// there is none.
std::string host_gateway_address();

/// What --add-host's values ask for beside names: that address, if one of them is
/// NAME:host-gateway, so that steps may reach it, which they else may not.
std::vector<AddressRange> granted_gateway(const std::vector<std::string>& add_hosts);

}  // namespace lade
