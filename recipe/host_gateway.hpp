// The address at which steps and containers reach this machine.
#pragma once

#include <string>

namespace lade {

/// This machine's own address towards its default route, or else any that is not loopback's:
/// services that listen at all addresses answer there, those of loopback do not. Throws Error if
/// there is none.
std::string host_gateway_address();

}  // namespace lade
