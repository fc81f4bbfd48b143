#include "solver/executor/network/frame_filter.hpp"

#include <algorithm>
#include <array>

#include "solver/executor/network/network_link.hpp"

namespace lade::sandbox {
namespace {

constexpr size_t ethernet_bytes = 14;
constexpr size_t arp_bytes = 28;
constexpr size_t ip_bytes = 20;  // without options
constexpr size_t icmp_bytes = 8;

constexpr uint16_t type_ipv4 = 0x0800;
constexpr uint16_t type_arp = 0x0806;

constexpr uint8_t protocol_icmp = 1;
constexpr uint8_t protocol_tcp = 6;
constexpr uint8_t protocol_udp = 17;

constexpr uint8_t icmp_echo_request = 8;
constexpr uint16_t port_dns = 53;

uint16_t u16(Frame bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

uint32_t u32(Frame bytes, size_t at) {
  return static_cast<uint32_t>(u16(bytes, at)) << 16 | u16(bytes, at + 2);
}

/// An IPv4 packet whose header is sound.
struct Packet {
  uint8_t protocol;
  uint32_t destination;
  bool fragment;  ///< part of one
  bool first;     ///< with the header of its protocol, then
  Frame payload;
};

/// What every packet that passes must be: whole, of a protocol that steps use, from the step.
/// Options are left out, since source routes are among them, and slirp4netns might have a use for
/// what nobody else takes.
bool read_packet(Frame ip, Packet& out) {
  if (ip.size() < ip_bytes || ip[0] != 0x45) return false;  // version 4, five words of header
  const size_t total = u16(ip, 2);
  if (total < ip_bytes || total > ip.size()) return false;
  const uint16_t flags = u16(ip, 6);
  const size_t offset = size_t{flags & 0x1fffu} * 8;
  const bool more = (flags & 0x2000) != 0;
  out.fragment = more || offset != 0;
  out.first = offset == 0;
  out.protocol = ip[9];
  out.destination = u32(ip, 16);
  out.payload = ip.subspan(ip_bytes, total - ip_bytes);
  if ((flags & 0x8000) != 0) return false;  // reserved
  if (more && (out.payload.empty() || out.payload.size() % 8 != 0)) return false;
  if (offset + out.payload.size() > 0xffff - ip_bytes) return false;
  return u32(ip, 12) == network_step;
}

/// Its header's first bytes are all there, which is where the ports are.
bool has_header(const Packet& packet) {
  switch (packet.protocol) {
    case protocol_tcp:
      return packet.payload.size() >= 20;
    case protocol_udp:
    case protocol_icmp:
      return packet.payload.size() >= 8;
    default:
      return false;
  }
}

bool is_known(uint8_t protocol) {
  return protocol == protocol_tcp || protocol == protocol_udp || protocol == protocol_icmp;
}

/// slirp4netns's own addresses stand for the host and its services: the name server's and echoes
/// are what a step needs, and neither comes in fragments.
bool is_own_service(const Packet& packet) {
  if (packet.fragment) return false;
  if (packet.protocol == protocol_icmp) {
    return packet.payload[0] == icmp_echo_request &&
           (packet.destination == network_gateway || packet.destination == network_name_server);
  }
  return packet.destination == network_name_server && u16(packet.payload, 2) == port_dns;
}

/// An error message is not answered with another.
bool may_be_answered(const Packet& packet) {
  return packet.first &&
         (packet.protocol != protocol_icmp || packet.payload[0] == icmp_echo_request);
}

bool is_never_a_destination(uint32_t address) {
  const uint32_t top = address >> 24;
  return top == 0 || top == 127 || top >= 224;
}

bool is_own_network(uint32_t address) {
  return (address & network_mask) == (network_gateway & network_mask);
}

Verdict judge_ipv4(Frame ip, const AddressSet& denied) {
  Packet packet{};
  if (!read_packet(ip, packet) || !is_known(packet.protocol)) return Verdict::drop;
  if (packet.first && !has_header(packet)) return Verdict::drop;
  if (is_never_a_destination(packet.destination)) return Verdict::drop;
  const bool allowed = is_own_network(packet.destination) ? is_own_service(packet)
                                                          : !denied.contains(packet.destination);
  if (allowed) return Verdict::pass;
  return may_be_answered(packet) ? Verdict::refuse : Verdict::drop;
}

Verdict judge_arp(Frame arp) {
  constexpr std::array<uint8_t, 7> ipv4_on_ethernet = {0, 1, 8, 0, 6, 4, 0};
  if (arp.size() < arp_bytes || !std::ranges::equal(arp.first(7), ipv4_on_ethernet)) {
    return Verdict::drop;
  }
  const bool known = arp[7] == 1 || arp[7] == 2;  // request, reply
  const uint32_t sender = u32(arp, 14);
  return known && (sender == network_step || sender == 0) ? Verdict::pass : Verdict::drop;
}

// ---- the answer

class Writer {
 public:
  Writer& bytes(Frame from) {
    out_.insert(out_.end(), from.begin(), from.end());
    return *this;
  }
  Writer& u8(uint8_t value) {
    out_.push_back(value);
    return *this;
  }
  Writer& u16(uint16_t value) {
    return u8(static_cast<uint8_t>(value >> 8)).u8(static_cast<uint8_t>(value & 0xff));
  }
  Writer& u32(uint32_t value) {
    return u16(static_cast<uint16_t>(value >> 16)).u16(static_cast<uint16_t>(value & 0xffff));
  }
  /// The Internet checksum of what was written from `start` on, put at `place`, where zeros are.
  Writer& checksum(size_t start, size_t place) {
    uint32_t sum = 0;
    for (size_t i = start; i < out_.size(); ++i) {
      sum += (i - start) % 2 == 0 ? static_cast<uint32_t>(out_[i]) << 8 : out_[i];
    }
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    out_[place] = static_cast<uint8_t>(~sum >> 8);
    out_[place + 1] = static_cast<uint8_t>(~sum & 0xff);
    return *this;
  }
  std::vector<uint8_t> take() { return std::move(out_); }

 private:
  std::vector<uint8_t> out_;
};

}  // namespace

Verdict judge_frame(Frame frame, const AddressSet& denied) {
  if (frame.size() < ethernet_bytes || frame.size() > network_frame_bytes) return Verdict::drop;
  const Frame rest = frame.subspan(ethernet_bytes);
  switch (u16(frame, 12)) {
    case type_ipv4:
      return judge_ipv4(rest, denied);
    case type_arp:
      return judge_arp(rest);
    default:
      return Verdict::drop;  // IPv6, VLAN tags, lengths of IEEE 802.3
  }
}

bool is_usable_name_server(uint32_t address, const AddressSet& denied) {
  if (is_own_network(address)) return address == network_name_server;
  return !is_never_a_destination(address) && !denied.contains(address);
}

std::vector<uint8_t> refusal_of(Frame frame) {
  constexpr uint8_t icmp_unreachable = 3;
  constexpr uint8_t code_prohibited = 13;
  // Of the packet, its header and the first eight bytes beyond: RFC 792. judge_frame() saw them.
  const Frame quoted = frame.subspan(ethernet_bytes, ip_bytes + 8);
  const auto total = static_cast<uint16_t>(ip_bytes + icmp_bytes + quoted.size());
  constexpr size_t ip = ethernet_bytes;
  constexpr size_t icmp = ip + ip_bytes;
  Writer out;
  out.bytes(frame.subspan(6, 6)).bytes(frame.first(6)).u16(type_ipv4);
  out.u8(0x45).u8(0).u16(total).u16(0).u16(0).u8(64).u8(protocol_icmp).u16(0);
  out.u32(network_gateway).u32(network_step).checksum(ip, ip + 10);
  out.u8(icmp_unreachable).u8(code_prohibited).u16(0).u32(0).bytes(quoted);
  out.checksum(icmp, icmp + 2);
  return out.take();
}

}  // namespace lade::sandbox
