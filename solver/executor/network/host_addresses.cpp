#include "solver/executor/network/host_addresses.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/error.hpp"

namespace lade::sandbox {
namespace {

constexpr const char* failure = "could not read this machine's addresses";

UniqueFd open_netlink(int flags, uint32_t groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE));
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = groups;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    throw_errno(failure);
  }
  return fd;
}

/// Asks for the IPv4 routes of one type. Kernels before 4.20 send all of them, which may be a
/// million.
void ask_for_routes(int fd, uint8_t type) {
  const int on = 1;
  ::setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  struct {
    nlmsghdr header;
    rtmsg route;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.route.rtm_family = AF_INET;
  request.route.rtm_type = type;
  if (::send(fd, &request, sizeof request, 0) < 0) throw_errno(failure);
}

bool is_own(const rtmsg& route) {
  return route.rtm_family == AF_INET &&
         (route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_BROADCAST);
}

std::optional<AddressRange> range_of(const nlmsghdr& header) {
  if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len < NLMSG_LENGTH(sizeof(rtmsg))) {
    return std::nullopt;
  }
  const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(&header));
  if (!is_own(*route) || route->rtm_dst_len > 32) return std::nullopt;
  uint32_t address = 0;
  auto left = static_cast<int>(RTM_PAYLOAD(&header));
  for (const auto* part = RTM_RTA(route); RTA_OK(part, left); part = RTA_NEXT(part, left)) {
    if (part->rta_type != RTA_DST || RTA_PAYLOAD(part) < sizeof address) continue;
    std::memcpy(&address, RTA_DATA(part), sizeof address);
  }
  return AddressRange::of_prefix(ntohl(address), route->rtm_dst_len);
}

using Buffer = std::array<char, 64 << 10>;

/// One datagram's messages; false after the last of all.
bool read_routes(int fd, Buffer& buffer, std::vector<AddressRange>& out) {
  const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (size < 0 && errno == EINTR) return true;
  if (size <= 0) throw_errno(failure);
  auto left = static_cast<size_t>(size);
  for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
       NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_type == NLMSG_DONE) return false;
    if (header->nlmsg_type == NLMSG_ERROR) throw Error(failure);
    if (const auto range = range_of(*header)) out.push_back(*range);
  }
  return true;
}

std::vector<AddressRange> read_addresses() {
  const UniqueFd fd = open_netlink(0, 0);
  alignas(nlmsghdr) static Buffer buffer;
  std::vector<AddressRange> out;
  for (const uint8_t type : {RTN_LOCAL, RTN_BROADCAST}) {
    ask_for_routes(fd.get(), type);
    while (read_routes(fd.get(), buffer, out)) {
    }
  }
  return out;
}

/// Whether a notification is of what is_own(). A routing daemon's churn of other routes costs no
/// more than this.
bool concerns_us(const nlmsghdr& header) {
  if (header.nlmsg_type == RTM_NEWADDR || header.nlmsg_type == RTM_DELADDR) return true;
  if (header.nlmsg_type != RTM_NEWROUTE && header.nlmsg_type != RTM_DELROUTE) return false;
  return header.nlmsg_len >= NLMSG_LENGTH(sizeof(rtmsg)) &&
         is_own(*static_cast<const rtmsg*>(NLMSG_DATA(&header)));
}

}  // namespace

// The order matters: what changes while the routes are read is told of afterwards.
HostAddresses::HostAddresses()
    : changes_(open_netlink(SOCK_NONBLOCK, RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_IFADDR)),
      ranges_(read_addresses()) {}

bool HostAddresses::refresh() {
  alignas(nlmsghdr) std::array<char, 16 << 10> buffer;
  bool changed = false;
  for (;;) {
    const ssize_t size = ::recv(changes_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOBUFS) {  // some were lost
        changed = true;
        continue;
      }
      break;
    }
    auto left = static_cast<size_t>(size);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
         NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      changed = changed || concerns_us(*header);
    }
  }
  if (changed) ranges_ = read_addresses();
  return changed;
}

std::vector<AddressRange> denied_addresses(const NetworkReach& reach,
                                           const std::vector<AddressRange>& host) {
  std::vector<AddressRange> out = host;
  for (const AddressRange& granted : reach.grant) {
    std::vector<AddressRange> left;
    for (const AddressRange& range : out) {
      if (granted.last < range.first || range.last < granted.first) {
        left.push_back(range);
        continue;
      }
      if (range.first < granted.first) left.push_back({range.first, granted.first - 1});
      if (granted.last < range.last) left.push_back({granted.last + 1, range.last});
    }
    out = std::move(left);
  }
  // What is denied is so whatever was granted.
  out.insert(out.end(), reach.deny.begin(), reach.deny.end());
  return out;
}

}  // namespace lade::sandbox
