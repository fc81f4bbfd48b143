#include "solver/executor/network/frame_filter.hpp"

#include <functional>
#include <initializer_list>

#include <gtest/gtest.h>

#include "solver/executor/network/network_link.hpp"

namespace lade::sandbox {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmp = 1;

void put16(Bytes& out, size_t at, unsigned value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value & 0xff);
}

void put32(Bytes& out, size_t at, uint32_t value) {
  put16(out, at, value >> 16);
  put16(out, at + 2, value & 0xffff);
}

constexpr size_t kIp = 14;
constexpr size_t kPayload = kIp + 20;

/// A frame of the step's with `size` bytes of payload; port 443 where there are ports, an echo
/// request where it is ICMP.
Bytes packet(const char* destination, uint8_t protocol = kTcp, size_t size = 20) {
  Bytes out(kPayload + size);
  for (size_t i = 0; i < 6; ++i) {
    out[i] = static_cast<uint8_t>(0x50 + i);
    out[6 + i] = static_cast<uint8_t>(0x20 + i);
  }
  put16(out, 12, 0x0800);
  out[kIp] = 0x45;
  put16(out, kIp + 2, static_cast<unsigned>(20 + size));
  out[kIp + 8] = 64;
  out[kIp + 9] = protocol;
  put32(out, kIp + 12, network_step);
  put32(out, kIp + 16, parse_ipv4(destination));
  if (size >= 4) put16(out, kPayload, protocol == kIcmp ? 0x0800 : 40000);
  if (size >= 4) put16(out, kPayload + 2, protocol == kIcmp ? 0 : 443);
  return out;
}

Bytes to_port(const char* destination, uint8_t protocol, unsigned port) {
  Bytes out = packet(destination, protocol);
  put16(out, kPayload + 2, port);
  return out;
}

/// flags and offset as in the header: 0x2000 more fragments, offset in units of eight bytes.
Bytes fragment(const char* destination, unsigned flags_and_offset, size_t size = 24,
               uint8_t protocol = kUdp) {
  Bytes out = packet(destination, protocol, size);
  put16(out, kIp + 6, flags_and_offset);
  return out;
}

Bytes changed(Bytes frame, const std::function<void(Bytes&)>& change) {
  change(frame);
  return frame;
}

Bytes arp(unsigned operation, uint32_t sender = network_step) {
  Bytes out(14 + 28);
  put16(out, 12, 0x0806);
  put16(out, 14, 1);
  put16(out, 16, 0x0800);
  put16(out, 18, 0x0604);
  put16(out, 20, operation);
  put32(out, 28, sender);
  put32(out, 38, network_gateway);
  return out;
}

const AddressSet& host() {
  static const AddressSet set({AddressRange::parse("192.0.2.2"), AddressRange::parse("10.7.0.0/16"),
                               AddressRange::parse("10.0.2.0/24"),
                               AddressRange::parse("127.0.0.0/8")});
  return set;
}

Verdict verdict(const Bytes& frame) {
  return judge_frame(frame, host());
}

TEST(FrameFilterTest, WhatAStepNeedsPasses) {
  for (const uint8_t protocol : {kTcp, kUdp, kIcmp}) {
    for (const char* destination :
         {"203.0.113.80", "1.1.1.1", "8.8.8.8", "192.0.2.1", "10.6.255.255", "10.8.0.0",
          "10.0.1.255", "10.0.3.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "1.0.0.0"}) {
      EXPECT_EQ(verdict(packet(destination, protocol)), Verdict::pass) << destination;
    }
  }
  EXPECT_EQ(verdict(arp(1)), Verdict::pass);
  EXPECT_EQ(verdict(arp(2)), Verdict::pass);
  EXPECT_EQ(verdict(arp(1, 0)), Verdict::pass);  // whether an address is free
}

TEST(FrameFilterTest, FramesMayHaveBytesBehindThePacket) {
  EXPECT_EQ(verdict(changed(packet("1.1.1.1"), [](Bytes& f) { f.resize(f.size() + 26); })),
            Verdict::pass);
  EXPECT_EQ(verdict(changed(arp(1), [](Bytes& f) { f.resize(60); })), Verdict::pass);
}

TEST(FrameFilterTest, WhatNoStepMayReachIsDropped) {
  for (const char* destination :
       {"127.0.0.1", "127.0.0.53", "127.255.255.255", "0.0.0.0", "0.1.2.3", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255"}) {
    for (const uint8_t protocol : {kTcp, kUdp, kIcmp}) {
      EXPECT_EQ(verdict(packet(destination, protocol)), Verdict::drop) << destination;
      EXPECT_EQ(judge_frame(packet(destination, protocol), {}), Verdict::drop) << destination;
    }
  }
}

TEST(FrameFilterTest, WhatIsDeniedIsRefused) {
  for (const uint8_t protocol : {kTcp, kUdp, kIcmp}) {
    for (const char* destination : {"192.0.2.2", "10.7.0.0", "10.7.255.255"}) {
      EXPECT_EQ(verdict(packet(destination, protocol)), Verdict::refuse) << destination;
      EXPECT_EQ(judge_frame(packet(destination, protocol), {}), Verdict::pass) << destination;
    }
  }
}

TEST(FrameFilterTest, OfTheHelpersOwnNetworkNamesAndEchoesAreThere) {
  EXPECT_EQ(verdict(to_port("10.0.2.3", kUdp, 53)), Verdict::pass);
  EXPECT_EQ(verdict(to_port("10.0.2.3", kTcp, 53)), Verdict::pass);
  EXPECT_EQ(verdict(packet("10.0.2.3", kIcmp)), Verdict::pass);
  EXPECT_EQ(verdict(packet("10.0.2.2", kIcmp)), Verdict::pass);
  // DHCP, TFTP, and what slirp4netns would take to the host's loopback.
  for (const uint8_t protocol : {kTcp, kUdp}) {
    for (const unsigned port : {53u, 67u, 69u, 80u}) {
      EXPECT_EQ(verdict(to_port("10.0.2.2", protocol, port)), Verdict::refuse) << port;
    }
    EXPECT_EQ(verdict(to_port("10.0.2.3", protocol, 80)), Verdict::refuse);
    EXPECT_EQ(verdict(to_port("10.0.2.255", protocol, 53)), Verdict::refuse);
    EXPECT_EQ(verdict(to_port("10.0.2.15", protocol, 53)), Verdict::refuse);
  }
  EXPECT_EQ(verdict(packet("10.0.2.15", kIcmp)), Verdict::refuse);
  const auto timestamp = [](Bytes& f) { f[kPayload] = 13; };
  EXPECT_EQ(verdict(changed(packet("10.0.2.2", kIcmp), timestamp)), Verdict::drop);
}

// Their ports could be overwritten by a later one.
TEST(FrameFilterTest, FragmentsReachOtherMachinesOnly) {
  for (const unsigned part : {0x2000u, 0x2003u, 0x0003u}) {
    EXPECT_EQ(verdict(fragment("1.1.1.1", part)), Verdict::pass) << part;
    EXPECT_NE(verdict(fragment("192.0.2.2", part)), Verdict::pass) << part;
    EXPECT_EQ(verdict(fragment("127.0.0.1", part)), Verdict::drop) << part;
    EXPECT_NE(verdict(fragment("10.0.2.3", part)), Verdict::pass) << part;
    EXPECT_NE(verdict(fragment("10.0.2.2", part, 24, kIcmp)), Verdict::pass) << part;
  }
  // Only the first has ports to be answered by.
  EXPECT_EQ(verdict(fragment("192.0.2.2", 0x2000)), Verdict::refuse);
  EXPECT_EQ(verdict(fragment("192.0.2.2", 0x0003)), Verdict::drop);
  EXPECT_EQ(verdict(fragment("1.1.1.1", 0x4000)), Verdict::pass);  // "do not fragment" is none
}

TEST(FrameFilterTest, MalformedFragmentsAreDropped) {
  EXPECT_EQ(verdict(fragment("1.1.1.1", 0x2000, 20)), Verdict::drop);  // not of eight bytes each
  EXPECT_EQ(verdict(fragment("1.1.1.1", 0x2001, 0)), Verdict::drop);
  EXPECT_EQ(verdict(fragment("1.1.1.1", 0x1fff, 24)), Verdict::drop);        // ends beyond 65535
  EXPECT_EQ(verdict(fragment("1.1.1.1", 0x8000)), Verdict::drop);            // reserved
  EXPECT_EQ(verdict(fragment("1.1.1.1", 0x2000, 16, kTcp)), Verdict::drop);  // half a TCP header
}

TEST(FrameFilterTest, OnlyTheStepsAddressSends) {
  for (const char* source : {"10.0.2.2", "10.0.2.101", "127.0.0.1", "192.0.2.2", "0.0.0.0"}) {
    const uint32_t address = parse_ipv4(source);
    EXPECT_EQ(verdict(changed(packet("1.1.1.1"), [&](Bytes& f) { put32(f, kIp + 12, address); })),
              Verdict::drop)
        << source;
    EXPECT_EQ(verdict(arp(1, address)), address == 0 ? Verdict::pass : Verdict::drop) << source;
  }
}

TEST(FrameFilterTest, OtherKindsOfFramesAreDropped) {
  const auto of_type = [](unsigned type) {
    return changed(packet("1.1.1.1"), [=](Bytes& f) { put16(f, 12, type); });
  };
  // IPv6, VLAN tags, a length of IEEE 802.3, PPPoE, Wake-on-LAN.
  for (const unsigned type : {0x86ddu, 0x8100u, 0x88a8u, 0x9100u, 46u, 0x8864u, 0x0842u}) {
    EXPECT_EQ(verdict(of_type(type)), Verdict::drop) << type;
  }
  // A tag before an IPv4 packet.
  Bytes tagged = packet("1.1.1.1");
  tagged.insert(tagged.begin() + 12, {0x81, 0x00, 0x00, 0x01});
  EXPECT_EQ(verdict(tagged), Verdict::drop);
}

TEST(FrameFilterTest, OtherProtocolsAreDropped) {
  for (int protocol = 0; protocol < 256; ++protocol) {
    const bool known = protocol == kTcp || protocol == kUdp || protocol == kIcmp;
    EXPECT_EQ(verdict(packet("1.1.1.1", static_cast<uint8_t>(protocol))),
              known ? Verdict::pass : Verdict::drop)
        << protocol;
  }
}

TEST(FrameFilterTest, HeadersThatAreNotPlainAreDropped) {
  const auto with_first_byte = [](uint8_t byte) {
    return changed(packet("1.1.1.1"), [=](Bytes& f) { f[kIp] = byte; });
  };
  // Options (a source route among them), less than a header, other versions.
  for (const uint8_t byte : {0x46, 0x4f, 0x44, 0x40, 0x65, 0x05, 0x00, 0xff}) {
    EXPECT_EQ(verdict(with_first_byte(byte)), Verdict::drop) << int{byte};
  }
  const auto with_length = [](unsigned length) {
    return changed(packet("1.1.1.1"), [=](Bytes& f) { put16(f, kIp + 2, length); });
  };
  for (const unsigned length : {0u, 19u, 20u, 39u, 41u, 65535u}) {
    EXPECT_EQ(verdict(with_length(length)), Verdict::drop) << length;
  }
}

TEST(FrameFilterTest, FramesThatAreCutOffAnywhereAreDropped) {
  for (const Bytes& whole : {packet("1.1.1.1"), packet("1.1.1.1", kUdp, 8), arp(1)}) {
    ASSERT_EQ(verdict(whole), Verdict::pass);
    for (size_t size = 0; size < whole.size(); ++size) {
      // A copy of that size, so that a read beyond it is one beyond what was allocated.
      EXPECT_EQ(verdict(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))),
                Verdict::drop)
          << size;
    }
  }
  EXPECT_EQ(verdict(Bytes(network_frame_bytes + 1)), Verdict::drop);
}

TEST(FrameFilterTest, OtherArpIsDropped) {
  EXPECT_EQ(verdict(arp(3)), Verdict::drop);
  EXPECT_EQ(verdict(arp(0)), Verdict::drop);
  for (size_t i = 14; i < 21; ++i) {
    EXPECT_EQ(verdict(changed(arp(1), [=](Bytes& f) { f[i] ^= 0x10; })), Verdict::drop) << i;
  }
}

uint16_t sum_of(const Bytes& bytes, size_t from, size_t to) {
  uint32_t sum = 0;
  for (size_t i = from; i + 1 < to; i += 2)
    sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

TEST(RefusalTest, IsAnIcmpErrorAboutThePacket) {
  const Bytes refused = packet("192.0.2.2", kUdp);
  const Bytes answer = refusal_of(refused);
  ASSERT_EQ(answer.size(), 14u + 20 + 8 + 20 + 8);
  EXPECT_EQ(Bytes(answer.begin(), answer.begin() + 6),
            Bytes(refused.begin() + 6, refused.begin() + 12));
  EXPECT_EQ(Bytes(answer.begin() + 6, answer.begin() + 12),
            Bytes(refused.begin(), refused.begin() + 6));
  EXPECT_EQ(answer[12] << 8 | answer[13], 0x0800);
  EXPECT_EQ(answer[kIp], 0x45);
  EXPECT_EQ(answer[kIp + 2] << 8 | answer[kIp + 3], 56);
  EXPECT_EQ(answer[kIp + 9], kIcmp);
  EXPECT_EQ(sum_of(answer, kIp, kIp + 20), 0xffff);
  EXPECT_EQ(Bytes(answer.begin() + kIp + 12, answer.begin() + kIp + 20),
            (Bytes{10, 0, 2, 2, 10, 0, 2, 100}));
  EXPECT_EQ(answer[kPayload], 3);
  EXPECT_EQ(answer[kPayload + 1], 13);
  EXPECT_EQ(sum_of(answer, kPayload, answer.size()), 0xffff);
  EXPECT_EQ(Bytes(answer.begin() + kPayload + 8, answer.end()),
            Bytes(refused.begin() + kIp, refused.begin() + kIp + 28));
}

TEST(RefusalTest, NoErrorIsAnsweredWithAnother) {
  const auto unreachable = [](Bytes& f) { f[kPayload] = 3; };
  EXPECT_EQ(verdict(changed(packet("192.0.2.2", kIcmp), unreachable)), Verdict::drop);
}

TEST(NameServerTest, AreUsableWhereTheirQueriesPass) {
  EXPECT_TRUE(is_usable_name_server(parse_ipv4("1.1.1.1"), host()));
  EXPECT_TRUE(is_usable_name_server(parse_ipv4("10.0.2.3"), host()));
  for (const char* server : {"192.0.2.2", "10.7.1.1", "127.0.0.53", "0.0.0.0", "10.0.2.2"}) {
    EXPECT_FALSE(is_usable_name_server(parse_ipv4(server), host())) << server;
  }
}

}  // namespace
}  // namespace lade::sandbox
