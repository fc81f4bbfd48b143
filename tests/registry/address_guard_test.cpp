#include "registry/net/address_guard.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace lade {
namespace {

bool refuses(const AddressGuard& guard, const char* text) {
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  if (::inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1) {
    return guard.refuses(reinterpret_cast<const sockaddr*>(&ipv6));
  }
  sockaddr_in ipv4{};
  ipv4.sin_family = AF_INET;
  EXPECT_EQ(::inet_pton(AF_INET, text, &ipv4.sin_addr), 1) << text;
  return guard.refuses(reinterpret_cast<const sockaddr*>(&ipv4));
}

TEST(AddressGuard, RefusesThisMachineWhateverItIsCalled) {
  const AddressGuard guard({});
  for (const char* own :
       {"127.0.0.1", "127.255.3.4", "0.0.0.0", "0.1.2.3", "::1", "::", "::ffff:127.0.0.1",
        "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:0.0.0.0"}) {
    EXPECT_TRUE(refuses(guard, own)) << own;
  }
}

TEST(AddressGuard, RefusesWhatIsNoSingleMachineAndPrivateIpv6) {
  const AddressGuard guard({});
  for (const char* special : {"224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "fe80::1",
                              "fec0::1", "fd00:ec2::254", "fc00::1"}) {
    EXPECT_TRUE(refuses(guard, special)) << special;
  }
}

TEST(AddressGuard, LetsOtherMachinesThroughButThoseThatAreDenied) {
  const AddressGuard open({});
  const AddressGuard guard(
      {AddressRange::parse("169.254.0.0/16"), AddressRange::parse("192.0.2.0/24")});
  for (const char* denied : {"169.254.169.254", "192.0.2.77", "::ffff:192.0.2.77",
                             "64:ff9b::c000:24d", "2002:a9fe:a9fe::1"}) {
    EXPECT_FALSE(refuses(open, denied)) << denied;
    EXPECT_TRUE(refuses(guard, denied)) << denied;
  }
  for (const char* other : {"192.0.3.1", "198.51.100.1", "8.8.8.8", "2001:db8::1"}) {
    EXPECT_FALSE(refuses(guard, other)) << other;
  }
}

TEST(AddressGuard, ShowsAddresses) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(address_text(reinterpret_cast<const sockaddr*>(&address)), "127.0.0.1");
  address.sin_family = AF_UNIX;
  EXPECT_EQ(address_text(reinterpret_cast<const sockaddr*>(&address)), "an unknown address");
}

}  // namespace
}  // namespace lade
