#include <array>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
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

/// Sends one client's bytes back until it sends no more.
void serve_echo(const Listener& listener) {
  const UniqueFd client(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::array<char, 65536> bytes{};
  for (ssize_t size = 0; (size = ::read(client.get(), bytes.data(), bytes.size())) > 0;) {
    sys::write_all(client.get(), {bytes.data(), static_cast<size_t>(size)});
  }
}

bool shell_command(const std::string& command) {
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}

/// Another machine, as far as networks go: a namespace with an echo server at the end of a cable
/// from this one's. The addresses are of the range for tests of networks.
class OtherMachine {
 public:
  OtherMachine() : thread_([this] { live(); }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return number_ != 0; });
    const bool made =
        number_ > 0 &&
        shell_command(
            fmt::format("ip link add {0} type veth peer name {0}e && ip addr add {1}/30 dev {0} && "
                        "ip link set {0} up && ip link set {0}e netns {2}",
                        cable_, host_address(), number_));
    state_ = made ? State::connected : State::failed;
    changed_.notify_all();
    changed_.wait(lock, [&] { return state_ != State::connected; });
  }
  ~OtherMachine() {
    if (listener_) ::shutdown(listener_->fd.get(), SHUT_RDWR);  // in case nobody came
    thread_.join();
    shell_command("ip link del " + cable_);
  }

  bool is_there() const { return state_ == State::up; }
  std::string address() const { return host_address(1); }
  std::string host_address(int add = 0) const {
    const int pid = ::getpid();
    return fmt::format("198.18.{}.{}", pid / 64 % 256, pid % 64 * 4 + 1 + add);
  }
  const std::string& cable() const { return cable_; }
  int port() const { return listener_->port; }

 private:
  enum class State { making, connected, up, failed };

  void live() {
    const bool alone = ::unshare(CLONE_NEWNET) == 0;
    std::unique_lock lock(mutex_);
    number_ = alone ? ::gettid() : -1;
    changed_.notify_all();
    changed_.wait(lock, [&] { return state_ != State::making; });
    if (state_ == State::failed) return;
    const bool up = shell_command(
        fmt::format("ip addr add {1}/30 dev {0}e && ip link set {0}e up && ip link set lo up",
                    cable_, address()));
    if (up) listener_.emplace(INADDR_ANY);
    state_ = up ? State::up : State::failed;
    changed_.notify_all();
    lock.unlock();
    if (up) serve_echo(*listener_);
  }

  std::string cable_ = fmt::format("lade-t{}", ::getpid());
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::making;
  int number_ = 0;  // of the thread that is in it
  std::optional<Listener> listener_;
  std::thread thread_;  // last, for what it uses
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
    spec.files[0].resolv_conf = true;
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
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, "ls /sys/class/net")), "lo\ntap0\n");
}

TEST_F(NetworkSlotTest, NoHelperRunsUntilAPacketIsSent) {
  ASSERT_EQ(output_of(in(NetworkMode::sandbox, "ip addr show tap0 >/dev/null; echo x")), "x\n");
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  EXPECT_EQ(testing::processes_of_session(*zygote).size(), 1u);
  run(in(NetworkMode::sandbox, "nc -w 1 10.0.2.2 9 </dev/null"));
  // The one that carries frames, and slirp4netns.
  EXPECT_EQ(testing::processes_of_session(*zygote).size(), 3u);
  run(in(NetworkMode::sandbox, "nc -w 1 10.0.2.2 9 </dev/null"));
  EXPECT_EQ(testing::processes_of_session(*zygote).size(), 3u);
}

TEST_F(NetworkSlotTest, AHelperThatDiedIsReplaced) {
  const std::string refused =
      "nc -w 9 10.0.2.2 9 </dev/null 2>&1; ip neigh show 10.0.2.2 | grep -c lladdr";
  ASSERT_THAT(output_of(in(NetworkMode::sandbox, refused)), HasSubstr("1\n"));
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  for (const pid_t pid : testing::processes_of_session(*zygote)) {
    if (pid != *zygote) ::kill(pid, SIGKILL);
  }
  ASSERT_TRUE(
      testing::eventually([&] { return testing::processes_of_session(*zygote).size() == 1; }));
  EXPECT_THAT(output_of(in(NetworkMode::sandbox, "ip neigh flush all; " + refused)),
              HasSubstr("1\n"));
}

/// A step that has used its network and runs on while one of its helper's processes is killed.
class LostHelperTest : public NetworkSlotTest {
 protected:
  ExecResult kill_during_a_step(const std::string& process) {
    const auto zygote = testing::child_named(::getpid(), "lade-zygote");
    if (!zygote) return {};
    ExecResult result;
    bool done = false;
    executor().start(
        in(NetworkMode::sandbox, "ping -c 1 10.0.2.2 >/dev/null && echo up; sleep 60"),
        [&](LogStream, std::string_view) {
          for (const pid_t pid : testing::processes_of_session(*zygote)) {
            const std::string name = testing::read_text(fmt::format("/proc/{}/comm", pid));
            if (name == process + "\n") ::kill(pid, SIGKILL);
          }
        },
        [&](const ExecResult& r) {
          result = r;
          done = true;
        });
    loop().run_until([&] { return done; });
    return result;
  }
};

TEST_F(LostHelperTest, SlirpThatDiedFailsTheStepThatUsesIt) {
  const auto result = kill_during_a_step("slirp4netns");
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_EQ(result.setup_error,
            "the network of the sandbox was lost: slirp4netns: it was ended by SIGKILL");
}

TEST_F(LostHelperTest, ACarrierThatDiedFailsTheStepThatUsesIt) {
  const auto result = kill_during_a_step("lade-network");
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_EQ(result.setup_error,
            "the network of the sandbox was lost: the process that carries its frames "
            "(lade-network) was ended by SIGKILL");
}

TEST_F(LostHelperTest, TheNextStepHasANetworkAgain) {
  kill_during_a_step("slirp4netns");
  EXPECT_THAT(output_of(in(NetworkMode::sandbox, "ping -c 1 10.0.2.2")), HasSubstr(" 0% packet"));
}

/// With another slirp4netns.
class BrokenHelperTest : public NetworkSlotTest {
 protected:
  void TearDown() override {
    ::setenv("PATH", path_.c_str(), 1);
    NetworkSlotTest::TearDown();
  }
  void install(const std::string& script) {
    const std::string dir = make_dir("broken");
    ASSERT_TRUE(testing::write_text(dir + "/slirp4netns", script, 0755));
    ::setenv("PATH", (dir + ":" + path_).c_str(), 1);
  }
  std::string error_of_a_packet() {
    return run(in(NetworkMode::sandbox, "ping -c 1 10.0.2.2; sleep 60")).result.setup_error;
  }

 private:
  std::string path_ = std::getenv("PATH");
};

TEST_F(BrokenHelperTest, OneThatDoesNotStartFailsTheStepThatNeedsIt) {
  install("#!/bin/sh\necho broken >&2\nexit 1\n");
  EXPECT_EQ(output_of(in(NetworkMode::sandbox, "echo no packet")), "no packet\n");
  EXPECT_THAT(error_of_a_packet(),
              AllOf(HasSubstr("could not set up the network of the sandbox: slirp4netns: "),
                    HasSubstr("broken; it ended with exit code 1")));
}

// It may do that; its helper has nothing to do then and is not started over and over.
TEST_F(BrokenHelperTest, AnInsecureStepWithoutItsInterfaceRunsOn) {
  const std::string starts = make_dir("starts") + "/log";
  install("#!/bin/sh\necho started >>" + starts + "\nexec /usr/bin/slirp4netns \"$@\"\n");
  auto spec = in(NetworkMode::sandbox,
                 "ping -c 1 10.0.2.2 >/dev/null; ip link del tap0; sleep 1; echo done");
  spec.security = SecurityMode::insecure;
  EXPECT_EQ(output_of(spec), "done\n");
  EXPECT_EQ(testing::read_text(starts), "started\n");
}

// It takes the connection before it sets itself up.
TEST_F(BrokenHelperTest, OneThatEndsOnceItIsConnectedFailsTheStepThatNeedsIt) {
  if (!std::filesystem::exists("/usr/bin/python3")) GTEST_SKIP() << "needs python3";
  install(R"(#!/usr/bin/python3
import socket
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind("frames")
listener.listen()
connection = listener.accept()[0]
raise SystemExit(3)
)");
  EXPECT_EQ(error_of_a_packet(),
            "could not set up the network of the sandbox: slirp4netns: it ended with exit code 3");
}

TEST_F(BrokenHelperTest, NoSocketOfTheHostIsWithinItsReach) {
  const std::string found = make_dir("found") + "/run";
  const std::string socket = fmt::format("/run/lade-test-{}", ::getpid());
  ASSERT_TRUE(testing::write_text(socket, ""));
  install("#!/bin/sh\nfind /run >" + found + "\n");
  error_of_a_packet();
  std::filesystem::remove(socket);
  EXPECT_EQ(testing::read_text(found), "/run\n");
}

// A helper that finds the host's mounts takes them apart; with its own it may.
TEST_F(BrokenHelperTest, NoMountOfTheHostIsWithinItsReach) {
  const std::string found = make_dir("found") + "/mounts";
  install("#!/bin/sh\ncat /proc/self/mountinfo >" + found + "\numount -l /proc; umount -l /dev\n");
  EXPECT_THAT(error_of_a_packet(), HasSubstr("could not set up the network"));
  const std::string mounts = testing::read_text(found);
  EXPECT_THAT(mounts, HasSubstr(" /proc "));
  EXPECT_THAT(mounts, Not(HasSubstr("shared:")));
  // That the host's are as they were, TearDown() sees.
}

/// Steps that talk to another machine, through this one.
class OtherMachineTest : public NetworkSlotTest {
 protected:
  void SetUp() override {
    NetworkSlotTest::SetUp();
    if (IsSkipped()) return;
    if (!shell_command("ip -V >/dev/null")) GTEST_SKIP() << "needs ip (package iproute2)";
    other_.emplace();
    ASSERT_TRUE(other_->is_there());
  }
  const OtherMachine& other() const { return *other_; }
  /// What a step hears from the echo server, at this address.
  Finished talk_to(const std::string& address) {
    return run(in(NetworkMode::sandbox,
                  fmt::format("echo hello | nc -w 5 {} {}", address, other().port())));
  }

 private:
  std::optional<OtherMachine> other_;
};

// Frames of all sizes, both ways at once, through a receiver that is slower than the sender.
TEST_F(OtherMachineTest, ManyBytesArriveAsTheyWereSent) {
  const auto finished = run(in(
      NetworkMode::sandbox,
      fmt::format("head -c 20000000 /dev/urandom >/tmp/sent; nc -w 20 {} {} </tmp/sent >/tmp/got; "
                  "cmp /tmp/sent /tmp/got && echo same",
                  other().address(), other().port())));
  EXPECT_EQ(finished.out, "same\n") << finished.err;
}

TEST_F(OtherMachineTest, IsReachedAndThisOnesAddressIsRefusedAtOnce) {
  EXPECT_EQ(talk_to(other().address()).out, "hello\n");
  const Listener here(INADDR_ANY);
  const auto refused =
      run(in(NetworkMode::sandbox,
             fmt::format("nc -w 60 {} {} </dev/null", other().host_address(), here.port)));
  EXPECT_THAT(refused.err, HasSubstr("No route to host"));
}

// An address that this machine gets while a step runs is its own from then on.
TEST_F(OtherMachineTest, IsNotReachedOnceItsAddressIsThisOnes) {
  const Listener here(INADDR_ANY);
  auto spec = in(NetworkMode::sandbox,
                 fmt::format("echo hello | nc -w 5 {} {} && read go; nc -w 60 {} {} </dev/null",
                             other().address(), other().port(), other().address(), here.port));
  sys::Pipe go = sys::pipe();
  spec.input_fd = go.read.get();
  Finished finished;
  bool done = false;
  executor().start(
      spec,
      [&](LogStream stream, std::string_view bytes) {
        (stream == LogStream::out ? finished.out : finished.err) += bytes;
        if (stream == LogStream::err) return;
        EXPECT_TRUE(shell_command(
            fmt::format("ip addr add {}/32 dev {}", other().address(), other().cable())));
        sys::write_all(go.write.get(), "go\n");
      },
      [&](const ExecResult& result) {
        finished.result = result;
        done = true;
      });
  loop().run_until([&] { return done; });
  EXPECT_EQ(finished.out, "hello\n");
  EXPECT_THAT(finished.err, HasSubstr("No route to host"));
}

TEST_F(OtherMachineTest, IsNotReachedWhereItsNetworkIsDenied) {
  restart({.network = {.deny = {AddressRange::parse("198.18.0.0/15")}}});
  const auto refused = talk_to(other().address());
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("No route to host"));
}

TEST_F(NetworkSlotTest, WithEverythingDeniedThereAreStillNames) {
  restart({.network = {.deny = {AddressRange::parse("0.0.0.0/0")}}});
  EXPECT_EQ(output_of(in(NetworkMode::sandbox,
                         "grep ^nameserver /etc/resolv.conf; "
                         "ping -c 1 -w 5 10.0.2.3 >/dev/null && echo pong")),
            "nameserver 10.0.2.3\npong\n");
}

}  // namespace
}  // namespace lade
