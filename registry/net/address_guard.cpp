#include "registry/net/address_guard.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netdb.h>
#include <netinet/in.h>

#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace lade {
namespace {

/// The IPv4 address within an IPv6 one: mapped (RFC 4291), of NAT64 (RFC 6052), of 6to4 (RFC 3056).
std::optional<uint32_t> inner_ipv4(const in6_addr& address) {
  const auto at = [&](size_t offset) {
    uint32_t value = 0;
    std::memcpy(&value, address.s6_addr + offset, sizeof value);
    return ntohl(value);
  };
  constexpr uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address)) return at(12);
  if (std::memcmp(address.s6_addr, kNat64, sizeof kNat64) == 0) return at(12);
  if (address.s6_addr[0] == 0x20 && address.s6_addr[1] == 0x02) return at(2);
  return std::nullopt;
}

bool is_special(const in6_addr& address) {
  const bool unique_local = (address.s6_addr[0] & 0xfe) == 0xfc;
  return IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_LOOPBACK(&address) ||
         IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_SITELOCAL(&address) ||
         IN6_IS_ADDR_MULTICAST(&address) || unique_local;
}

constexpr AddressRange kNobodys[] = {{0, 0x00ffffff},            // 0.0.0.0/8: this machine
                                     {0x7f000000, 0x7fffffff},   // 127.0.0.0/8
                                     {0xe0000000, 0xffffffff}};  // multicast and above

struct RouteQuestion {
  nlmsghdr header;
  rtmsg route;
  rtattr attribute;
  std::array<unsigned char, sizeof(in6_addr)> address;
};

RouteQuestion question(int family, const void* address, size_t size) {
  RouteQuestion out{};
  out.attribute.rta_type = RTA_DST;
  out.attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  std::memcpy(out.address.data(), address, size);
  out.header.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg)) + out.attribute.rta_len;
  out.header.nlmsg_type = RTM_GETROUTE;
  out.header.nlmsg_flags = NLM_F_REQUEST;
  out.route.rtm_family = static_cast<uint8_t>(family);
  out.route.rtm_dst_len = static_cast<uint8_t>(size * 8);
  return out;
}

/// Whether the kernel would deliver to this machine itself. It is asked each time, since addresses
/// come and go, and whole networks may be local. Whoever cannot ask is refused.
bool is_own(int family, const void* address, size_t size) {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const RouteQuestion asked = question(family, address, size);
  alignas(nlmsghdr) std::array<char, 4096> answer{};
  if (!fd || ::send(fd.get(), &asked, asked.header.nlmsg_len, 0) < 0) return true;
  const ssize_t got = ::recv(fd.get(), answer.data(), answer.size(), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
  if (got < 0 || !NLMSG_OK(header, static_cast<size_t>(got))) return true;
  // No route (NLMSG_ERROR): nobody is reached at all.
  if (header->nlmsg_type != RTM_NEWROUTE) return false;
  const auto type = static_cast<const rtmsg*>(NLMSG_DATA(header))->rtm_type;
  return type == RTN_LOCAL || type == RTN_BROADCAST || type == RTN_ANYCAST;
}

/// {"10.0.0.1", "3128"} of "http://user:password@10.0.0.1:3128/".
std::optional<std::pair<std::string, std::string>> proxy_place(std::string text) {
  if (const auto scheme = text.find("://"); scheme != std::string::npos) text.erase(0, scheme + 3);
  text = text.substr(0, text.find('/'));
  if (const auto user = text.rfind('@'); user != std::string::npos) text.erase(0, user + 1);
  constexpr const char* kCurlsDefault = "1080";
  std::string port = kCurlsDefault;
  const auto colon = text.rfind(':');
  if (colon != std::string::npos && text.find(']', colon) == std::string::npos) {
    port = text.substr(colon + 1);
    text.resize(colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  if (text.empty()) return std::nullopt;
  return std::pair(std::move(text), std::move(port));
}

bool same_place(const sockaddr* a, const sockaddr* b) {
  if (a->sa_family != b->sa_family) return false;
  if (a->sa_family == AF_INET) {
    const auto* x = reinterpret_cast<const sockaddr_in*>(a);
    const auto* y = reinterpret_cast<const sockaddr_in*>(b);
    return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
  }
  const auto* x = reinterpret_cast<const sockaddr_in6*>(a);
  const auto* y = reinterpret_cast<const sockaddr_in6*>(b);
  return x->sin6_port == y->sin6_port && IN6_ARE_ADDR_EQUAL(&x->sin6_addr, &y->sin6_addr);
}

}  // namespace

AddressGuard::AddressGuard(std::vector<AddressRange> denied) {
  denied.insert(denied.end(), std::begin(kNobodys), std::end(kNobodys));
  denied_ = AddressSet(std::move(denied));
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"}) {
    if (auto place = proxy_place(sys::getenv(name))) proxies_.push_back(std::move(*place));
  }
}

bool AddressGuard::refuses_ipv4(uint32_t address) const {
  const uint32_t on_the_wire = htonl(address);
  return denied_.contains(address) || is_own(AF_INET, &on_the_wire, sizeof on_the_wire);
}

bool AddressGuard::refuses(const sockaddr* address) const {
  bool refused = true;
  if (address->sa_family == AF_INET) {
    refused = refuses_ipv4(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
  } else if (address->sa_family == AF_INET6) {
    const in6_addr& ipv6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    const auto inner = inner_ipv4(ipv6);
    refused =
        is_special(ipv6) || (inner && refuses_ipv4(*inner)) || is_own(AF_INET6, &ipv6, sizeof ipv6);
  }
  return refused && !is_proxy(address);
}

bool AddressGuard::is_proxy(const sockaddr* address) const {
  return std::ranges::any_of(proxies_, [&](const auto& proxy) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    if (::getaddrinfo(proxy.first.c_str(), proxy.second.c_str(), &hints, &first) != 0) return false;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(first, ::freeaddrinfo);
    for (const auto* one = first; one != nullptr; one = one->ai_next) {
      if (same_place(one->ai_addr, address)) return true;
    }
    return false;
  });
}

std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> out{};
  const void* bytes = nullptr;
  if (address->sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  } else if (address->sa_family == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  }
  const bool known = bytes && ::inet_ntop(address->sa_family, bytes, out.data(), out.size());
  return known ? out.data() : "an unknown address";
}

}  // namespace lade
