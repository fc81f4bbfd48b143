// What the steps of a daemon's builds may take: how many run at once, how much of the machine each
// has.
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/temp_dir.hpp"
#include "tests/support/buildkit_client.hpp"
#include "tests/support/daemon_program.hpp"

namespace lade::test {
namespace {

/// A build of one step, which is busybox's shell, with options of the frontend.
grpc::Status build_step(const std::string& address, const std::string& name,
                        const std::string& flags, const std::string& script,
                        const std::map<std::string, std::string>& options = {}) {
  BuildkitClient client(address);
  client.directories["dockerfile"] = {
      {"Dockerfile", "FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\nRUN " + flags +
                         " [\"/bin/busybox\", \"sh\", \"-c\", \"" + script + "\"]\n"}};
  client.directories["context"] = {{"busybox", busybox()}};
  client.open_session();
  auto request = client.dockerfile_build(name);
  for (const auto& [key, value] : options) (*request.mutable_frontendattrs())[key] = value;
  moby::buildkit::v1::SolveResponse response;
  return client.solve(request, response);
}

/// A build with a step that fails if one of another build runs at the same time.
grpc::Status build_alone(const std::string& address, const std::string& name) {
  return build_step(
      address, name, "--mount=type=cache,id=one,target=/one",
      "busybox mkdir /one/busy && busybox sleep 0.3 && busybox rmdir /one/busy # " + name);
}

TEST(MaxParallelism, CountsTheStepsOfAllBuilds) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
  const TempDir dir = TempDir::create(testing::TempDir());
  const DaemonProcess daemon(kDaemonProgram, dir.path(), {"--oci-max-parallelism=1"});
  std::vector<grpc::Status> ended(4);
  std::vector<std::thread> builds;
  for (size_t i = 0; i < ended.size(); ++i) {
    builds.emplace_back([&ended, &daemon, i] {
      ended[i] = build_alone(daemon.address(), "build-" + std::to_string(i));
    });
  }
  for (auto& build : builds) build.join();
  for (const auto& status : ended) EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST(StepResources, AreThoseThatTheFrontendIsAskedFor) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
  const TempDir dir = TempDir::create(testing::TempDir());
  const DaemonProcess daemon(kDaemonProgram, dir.path());
  const auto limited = build_step(daemon.address(), "limited", "", "test $(busybox nproc) = 1",
                                  {{"cpusetcpus", "0"}, {"memory", "67108864"}});
  if (limited.error_message().find("cgroup") != std::string::npos) {
    GTEST_SKIP() << limited.error_message();
  }
  EXPECT_TRUE(limited.ok()) << limited.error_message();
  const auto wrong = build_step(daemon.address(), "wrong", "", "true", {{"memswap", "1000000"}});
  EXPECT_THAT(wrong.error_message(), testing::HasSubstr("it needs memory"));
}

TEST(StepPids, OfADaemonBoundEveryStep) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
  const TempDir dir = TempDir::create(testing::TempDir());
  const DaemonProcess daemon(kDaemonProgram, dir.path(), {"--step-pids=30"});
  const auto few = build_step(daemon.address(), "few", "", "busybox sleep 0 & wait");
  if (few.error_message().find("cgroup") != std::string::npos) GTEST_SKIP() << few.error_message();
  EXPECT_TRUE(few.ok()) << few.error_message();
  const auto many = build_step(daemon.address(), "many", "",
                               "i=0; while [ $i -lt 60 ]; do busybox sleep 3 & i=$((i+1)); done");
  EXPECT_THAT(many.error_message(), testing::HasSubstr("it met its limit of 30 processes"));
}

}  // namespace
}  // namespace lade::test
