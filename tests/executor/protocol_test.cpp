#include "solver/executor/child/protocol.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade::sandbox {
namespace {

StartRequest full_request() {
  StartRequest request;
  ExecSpec& spec = request.spec;
  spec.args = {"a", "", "c"};
  spec.env = {"X=1", std::string("N=\0", 3)};
  spec.cwd = "/cwd";
  spec.uid = 4294967294;
  spec.gid = 7;
  spec.groups = {1, 2, 3};
  spec.hostname = "host";
  spec.network = NetworkMode::host;
  spec.security = SecurityMode::insecure;
  spec.rootfs.kind = MountKind::overlay;
  spec.rootfs.target = "/";
  spec.rootfs.lowers = {"l1", "l2"};
  spec.rootfs.lower_base = "/layers";
  spec.rootfs.upper = "/upper";
  spec.rootfs.work = "/work";
  spec.rootfs.userxattr = true;
  Mount mount;
  mount.kind = MountKind::tmpfs;
  mount.target = "/t";
  mount.source = "/s";
  mount.subpath = "sub";
  mount.read_only = true;
  mount.size_bytes = 1ull << 40;
  mount.mode = 01777;
  spec.mounts = {mount, Mount{}};
  spec.files = {{"/f", "content", 0400, 1, 2, true, true}};
  spec.limits = {{-1, 5, ~0ull}};
  spec.shm_bytes = 99;
  spec.cgroup_parent = "parent";
  spec.cgroup_limits = {1, -1, 3, 4, 5, "0-1", "0", 6};
  request.network_helper = "/usr/bin/helper";
  return request;
}

TEST(ProtocolTest, StartRequestsSurviveTheJourney) {
  const StartRequest sent = full_request();
  const StartRequest got = decode_start_request(encode(sent));
  EXPECT_EQ(encode(got), encode(sent));
  EXPECT_EQ(got.spec.env, sent.spec.env);
  EXPECT_EQ(got.spec.uid, sent.spec.uid);
  EXPECT_EQ(got.spec.groups, sent.spec.groups);
  EXPECT_EQ(got.spec.security, SecurityMode::insecure);
  EXPECT_EQ(got.spec.rootfs.lowers, sent.spec.rootfs.lowers);
  EXPECT_EQ(got.spec.mounts.at(0).size_bytes, 1ull << 40);
  EXPECT_TRUE(got.spec.mounts.at(0).read_only);
  EXPECT_EQ(got.spec.files.at(0).content, "content");
  EXPECT_EQ(got.spec.files.at(0).gid, 2u);
  EXPECT_EQ(got.spec.limits.at(0).resource, -1);
  EXPECT_EQ(got.spec.limits.at(0).hard, ~0ull);
  EXPECT_EQ(got.spec.cgroup_parent, "parent");
  EXPECT_EQ(got.spec.cgroup_limits, sent.spec.cgroup_limits);
  EXPECT_EQ(got.network_helper, "/usr/bin/helper");
}

TEST(ProtocolTest, AMissingCgroupStaysMissing) {
  EXPECT_FALSE(decode_start_request(encode(StartRequest{})).spec.cgroup_parent);
}

TEST(ProtocolTest, ATruncatedRequestIsAnError) {
  const auto bytes = encode(full_request());
  for (size_t size = 0; size < bytes.size(); size += 5) {
    EXPECT_THROW(decode_start_request(std::string_view(bytes).substr(0, size)), Error) << size;
  }
}

TEST(ProtocolTest, ExitReportsSurviveTheJourney) {
  ExitReport sent;
  sent.id = 12;
  sent.result = {137, 9, "why", true, 50, 1, 2, 3};
  const auto got = decode_exit_report(encode(sent));
  EXPECT_EQ(encode(got), encode(sent));
  EXPECT_EQ(got.result.setup_error, "why");
  EXPECT_EQ(got.result.max_rss_bytes, 3u);
}

TEST(ProtocolTest, OptionsSurviveTheJourney) {
  ExecutorOptions sent;
  sent.devices = DeviceDefence::mounts;
  sent.network.deny = {{1, 2}};
  sent.network.grant = {{3, 4}, {5, 6}};
  sent.pids = 7;
  const auto got = decode_executor_options(encode(sent));
  EXPECT_EQ(encode(got), encode(sent));
  EXPECT_EQ(got.network.grant, sent.network.grant);
  EXPECT_EQ(got.pids, 7);
}

TEST(ChannelTest, CarriesMessagesWithDescriptors) {
  auto pair = Channel::create_pair();
  EXPECT_FALSE(pair.zygote.receive());
  EXPECT_EQ(pair.zygote.state(), Channel::State::open);
  {
    const UniqueFd file = memory_file("in the file");
    pair.lade.send("one", {file.get()});
    pair.lade.send("two");
  }
  const auto one = pair.zygote.receive();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->bytes, "one");
  ASSERT_EQ(one->fds.size(), 1u);
  EXPECT_EQ(read_memory_file(one->fds[0].get()), "in the file");
  EXPECT_NE(::fcntl(one->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(pair.zygote.receive()->bytes, "two");
}

TEST(ChannelTest, TellsWhenTheOtherEndIsGone) {
  auto pair = Channel::create_pair();
  pair.lade.send("last");
  pair.lade.close();
  EXPECT_EQ(pair.zygote.receive()->bytes, "last");
  EXPECT_FALSE(pair.zygote.receive());
  EXPECT_EQ(pair.zygote.state(), Channel::State::closed);
  EXPECT_TRUE(pair.zygote.try_send("to nobody"));
  EXPECT_THROW(pair.zygote.send("to nobody"), Error);
}

TEST(ChannelTest, HangingUpEndsItDespiteCopies) {
  auto pair = Channel::create_pair();
  const UniqueFd copy(::fcntl(pair.lade.fd(), F_DUPFD_CLOEXEC, 0));
  pair.lade.hang_up();
  EXPECT_FALSE(pair.zygote.receive());
  EXPECT_EQ(pair.zygote.state(), Channel::State::closed);
}

TEST(ChannelTest, TrySendDoesNotWaitForASlowReader) {
  auto pair = Channel::create_pair();
  const std::string message(8000, 'x');
  size_t sent = 0;
  while (sent < 10000 && pair.lade.try_send(message)) ++sent;
  EXPECT_LT(sent, 10000u);
  EXPECT_EQ(pair.zygote.receive()->bytes, message);
  EXPECT_TRUE(pair.lade.try_send(message));
}

}  // namespace
}  // namespace lade::sandbox
