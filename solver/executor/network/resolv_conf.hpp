// The rules behind sandbox_resolv_conf(), on text.
#pragma once

#include <string>
#include <string_view>

#include "base/address_range.hpp"

namespace lade::sandbox {

/// Whether a resolv.conf(5) names a server that a network slot can reach: IPv4, not loopback, and
/// not among the `denied`.
bool has_reachable_server(std::string_view text, const AddressSet& denied);

/// The same file without comments and servers that cannot be reached; if none is left, with the
/// network helper's forwarder.
std::string filter_resolv_conf(std::string_view text, const AddressSet& denied);

}  // namespace lade::sandbox
