#include <cstdlib>
#include <filesystem>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;
using testing::SandboxTest;

/// A TCP listener on the host; its port. Connections complete without anybody accepting them.
struct Listener {
  UniqueFd fd;
  int port = 0;

  explicit Listener(uint32_t address) {
    fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(address);
    socklen_t size = sizeof name;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(::listen(fd.get(), 5), 0);
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size);
    port = ntohs(name.sin_port);
  }
};

class NetworkTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped()) return;
    for (const char* file : {"/etc/resolv.conf", "/etc/hosts"}) {
      ASSERT_TRUE(testing::write_text(root() + file, ""));
    }
  }
  ExecSpec in(NetworkMode network, const std::string& script) const {
    auto spec = sh(script);
    spec.network = network;
    spec.files.resize(1);
    spec.files[0].target = "/etc/resolv.conf";
    spec.files[0].content = sandbox_resolv_conf(network);
    return spec;
  }
};

/// Steps with NetworkMode::sandbox.
class NetworkSlotTest : public NetworkTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists("/usr/bin/slirp4netns")) GTEST_SKIP() << "needs slirp4netns";
    NetworkTest::SetUp();
  }
};

TEST_F(NetworkTest, NoneHasLoopbackOnly) {
  EXPECT_EQ(output_of(in(NetworkMode::none, "ls /sys/class/net; cat /sys/class/net/lo/flags")),
            "lo\n0x9\n");
}

TEST_F(NetworkTest, HostIsTheHostsOwn) {
  const auto own = std::filesystem::read_symlink("/proc/self/ns/net").string();
  EXPECT_EQ(output_of(in(NetworkMode::host, "readlink /proc/self/ns/net")), own + "\n");
  const Listener listener(INADDR_LOOPBACK);
  EXPECT_EQ(run(in(NetworkMode::host, fmt::format("nc -w 2 127.0.0.1 {} -e true", listener.port)))
                .result.exit_code,
            0);
}

TEST_F(NetworkSlotTest, SandboxHasAnInterfaceFromTheStart) {
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, "ls /sys/class/net; ip route | head -n 1")),
            "lo\ntap0\ndefault via 10.0.2.2 dev tap0 \n");
}

TEST_F(NetworkSlotTest, SandboxCannotReachTheHostsLoopback) {
  const Listener listener(INADDR_LOOPBACK);
  for (const char* address : {"127.0.0.1", "10.0.2.2", "10.0.2.3", "10.0.2.100", "localhost"}) {
    const auto finished =
        run(in(NetworkMode::sandbox,
               fmt::format("nc -w 2 {} {} -e true </dev/null", address, listener.port)));
    EXPECT_EQ(finished.result.setup_error, "");
    EXPECT_NE(finished.result.exit_code, 0) << address;
  }
}

TEST_F(NetworkSlotTest, SandboxReachesTheOutsideByName) {
  const std::string fetch =
      "wget -q -O - http://deb.debian.org/debian/dists/bookworm/Release | head -n 1";
  const auto host = run(in(NetworkMode::host, fetch));
  if (host.out.empty()) GTEST_SKIP() << "the host has no way to deb.debian.org: " << host.err;
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, fetch)), host.out);
}

TEST_F(NetworkSlotTest, AptUpdatesInADebianRoot) {
  // Made with `mmdebstrap --variant=minbase bookworm DIR`, which is too slow to do here.
  const char* debian = std::getenv("LADE_TEST_DEBIAN_ROOT");
  if (debian == nullptr) GTEST_SKIP() << "set LADE_TEST_DEBIAN_ROOT to a Debian root filesystem";
  auto spec = in(NetworkMode::sandbox,
                 "apt-get update && apt-get install -y --no-install-recommends hello && hello");
  spec.rootfs = overlay({debian});
  spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"};
  const auto finished = run(spec);
  EXPECT_EQ(finished.result.setup_error, "");
  EXPECT_EQ(finished.result.exit_code, 0) << finished.out << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("Hello, world!"));
}

TEST_F(NetworkSlotTest, SlotsAreReusedOneStepAtATime) {
  const std::string script = "readlink /proc/self/ns/net; sleep 0.2";
  const auto first = output_of(in(NetworkMode::sandbox, script));
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, script)), first);

  std::vector<std::string> outputs(3);
  int ended = 0;
  for (auto& out : outputs) {
    executor().start(
        in(NetworkMode::sandbox, script), [&](LogStream, std::string_view bytes) { out += bytes; },
        [&](const ExecResult& result) {
          EXPECT_EQ(result.setup_error, "");
          ++ended;
        });
  }
  loop().run_until([&] { return ended == 3; });
  EXPECT_NE(outputs[0], outputs[1]);
  EXPECT_NE(outputs[1], outputs[2]);
  EXPECT_NE(outputs[0], outputs[2]);
}

TEST_F(NetworkSlotTest, ASlotIsDroppedAfterAnInsecureStep) {
  const std::string script = "readlink /proc/self/ns/net; ip link add left-behind type dummy; true";
  auto spec = in(NetworkMode::sandbox, script);
  spec.security = SecurityMode::insecure;
  ASSERT_NE(output_of(spec), "");
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, "ls /sys/class/net")), "lo\ntap0\n");
}

TEST_F(NetworkSlotTest, APrefetchedSlotIsUsed) {
  executor().prefetch_network();
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  ASSERT_TRUE(
      testing::eventually([&] { return testing::processes_of_session(*zygote).size() == 2; }));
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, "ls /sys/class/net")), "lo\ntap0\n");
  EXPECT_EQ(testing::processes_of_session(*zygote).size(), 2u);
}

TEST_F(NetworkSlotTest, AHelperThatDiedIsReplaced) {
  ASSERT_EQ(output_of(in(NetworkMode::sandbox, "echo x")), "x\n");
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  for (const pid_t pid : testing::processes_of_session(*zygote)) {
    if (pid != *zygote) ::kill(pid, SIGKILL);
  }
  ASSERT_TRUE(
      testing::eventually([&] { return testing::processes_of_session(*zygote).size() == 1; }));
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, "ls /sys/class/net")), "lo\ntap0\n");
}

TEST_F(NetworkSlotTest, AWaitingStepCanBeKilled) {
  bool done = false;
  ExecResult result;
  const auto step = executor().start(
      in(NetworkMode::sandbox, "sleep 30"), [](LogStream, std::string_view) {},
      [&](const ExecResult& r) {
        result = r;
        done = true;
      });
  executor().kill(step);  // its slot takes longer than this
  loop().run_until([&] { return done; });
  EXPECT_EQ(result.exit_code, 137);
}

}  // namespace
}  // namespace lade
