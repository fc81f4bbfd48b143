// Which addresses lade itself connects to when it fetches what strangers ask for.
//
// A name says nothing of where it leads, and may lead elsewhere a moment later. So it is the
// address that a connection is about to be made to which is judged, each time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include "base/address_range.hpp"

namespace lade {

/// Refuses the addresses of this machine, loopback's and link-local ones of IPv6, those that are
/// none of a single machine (0.0.0.0/8, multicast), private ones of IPv6, and `denied`; whatever
/// IPv6 form an IPv4 address comes in. Thread-safe.
class AddressGuard {
 public:
  explicit AddressGuard(std::vector<AddressRange> denied);

  bool refuses(const sockaddr* address) const;

  /// Proxies of the environment, which the machine's owner chose; what they reach is theirs to say.
  bool has_proxies() const { return !proxies_.empty(); }

 private:
  bool refuses_ipv4(uint32_t address) const;
  bool is_proxy(const sockaddr* address) const;

  AddressSet denied_;
  std::vector<std::pair<std::string, std::string>> proxies_;  // host, port
};

/// "192.0.2.1" or "2001:db8::1"; "an unknown address" of other families.
std::string address_text(const sockaddr* address);

}  // namespace lade
