#include "solver/executor/network/hosts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "solver/executor/executor.hpp"
#include "solver/executor/network/resolv_conf.hpp"

namespace lade {
namespace {

using sandbox::filter_resolv_conf;
using sandbox::has_reachable_server;

TEST(ResolvConfTest, ReachableServersAndOptionsAreKept) {
  EXPECT_EQ(
      filter_resolv_conf("# by hand\nnameserver 192.0.2.1\n\nsearch corp.example\n"
                         "nameserver\t198.51.100.7 \noptions ndots:2\n",
                         {}),
      "nameserver 192.0.2.1\nsearch corp.example\nnameserver\t198.51.100.7\noptions ndots:2\n");
}

TEST(ResolvConfTest, LoopbackAndIpv6ServersAreLeftOut) {
  EXPECT_EQ(filter_resolv_conf("nameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\n"
                               "nameserver 2001:db8::1\nnameserver 192.0.2.1\n",
                               {}),
            "nameserver 192.0.2.1\n");
}

TEST(ResolvConfTest, ServersThatStepsMayNotReachAreLeftOut) {
  const AddressSet denied({AddressRange::parse("172.16.0.0/12"), AddressRange::parse("192.0.2.1")});
  const std::string text = "nameserver 172.17.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
  EXPECT_EQ(filter_resolv_conf(text, denied), "nameserver 192.0.2.2\n");
  EXPECT_FALSE(has_reachable_server("nameserver 172.17.0.1\n", denied));
  EXPECT_EQ(filter_resolv_conf("nameserver 172.17.0.1\n", denied), "nameserver 10.0.2.3\n");
}

// Inside they are slirp4netns's, which has a name server at one of them.
TEST(ResolvConfTest, ServersInTheNetworkHelpersOwnNetworkAreLeftOutButTheForwarder) {
  EXPECT_EQ(filter_resolv_conf("nameserver 10.0.2.2\nnameserver 10.0.2.15\n", {}),
            "nameserver 10.0.2.3\n");
  const AddressSet all({AddressRange::parse("0.0.0.0/0")});
  EXPECT_EQ(filter_resolv_conf("nameserver 10.0.2.3\nnameserver 192.0.2.2\n", all),
            "nameserver 10.0.2.3\n");
}

TEST(ResolvConfTest, WithoutAnyTheForwarderIsNamed) {
  EXPECT_EQ(filter_resolv_conf("nameserver 127.0.0.1\nsearch a\n", {}),
            "search a\nnameserver 10.0.2.3\n");
  EXPECT_EQ(filter_resolv_conf("", {}), "nameserver 10.0.2.3\n");
}

TEST(ResolvConfTest, KnowsWhetherAServerIsReachable) {
  EXPECT_TRUE(has_reachable_server("nameserver 192.0.2.1", {}));
  EXPECT_FALSE(has_reachable_server("nameserver 127.0.0.53\n", {}));
  EXPECT_FALSE(
      has_reachable_server("#nameserver 192.0.2.1\nnameservers 192.0.2.1\nnameserver\n", {}));
}

TEST(ResolvConfTest, HostNetworkGetsTheHostsFile) {
  EXPECT_EQ(sandbox_resolv_conf(NetworkMode::host, {}),
            sys::read_file("/etc/resolv.conf").value_or(""));
  EXPECT_THAT(sandbox_resolv_conf(NetworkMode::sandbox, {}), ::testing::HasSubstr("nameserver "));
}

TEST(HostsTest, NamesLocalhostTheStepAndExtraHosts) {
  EXPECT_EQ(sandbox_hosts("box", {{"192.0.2.9", "db"}, {"2001:db8::2", "db"}}),
            "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n"
            "192.0.2.9\tdb\n2001:db8::2\tdb\n");
  EXPECT_EQ(sandbox_hosts("", {}),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
}

}  // namespace
}  // namespace lade
