#include "builder/options/host_gateway.hpp"

#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace lade {
namespace {

std::string address_text(const in_addr& address) {
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &address, text, sizeof text) ? text : "";
}

/// Which address packets to the world would come from. Connecting a datagram socket sends nothing.
std::string towards_default_route() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  // Of a net that is set apart for documentation (RFC 5737): no route but the default one has it.
  ::inet_pton(AF_INET, "203.0.113.1", &to.sin_addr);
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return {};
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
  return address_text(own.sin_addr);
}

std::string of_any_interface() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  for (const ifaddrs* one = first; one; one = one->ifa_next) {
    const bool usable = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || !one->ifa_addr || one->ifa_addr->sa_family != AF_INET) continue;
    return address_text(reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr);
  }
  return {};
}

}  // namespace

std::string host_gateway_address() {
  std::string address = towards_default_route();
  if (address.empty() || address.starts_with("127.")) address = of_any_interface();
  if (address.empty()) {
    Error error("host-gateway: this machine has no address but loopback's");
    error.set_hint("steps with --network host reach it at 127.0.0.1");
    throw error;
  }
  return address;
}

std::vector<AddressRange> granted_gateway(const std::vector<std::string>& add_hosts) {
  for (const auto& text : add_hosts) {
    for (const auto& part : split(text, ',')) {
      if (!part.ends_with(":host-gateway") && !part.ends_with("=host-gateway")) continue;
      return {AddressRange::parse(host_gateway_address())};
    }
  }
  return {};
}

}  // namespace lade
