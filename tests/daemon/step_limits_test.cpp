// How many steps of a daemon's builds run at once.
#include <fstream>
#include <sstream>
#include <thread>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/temp_dir.hpp"
#include "tests/support/buildkit_client.hpp"

namespace lade::test {
namespace {

std::string busybox() {
  std::ifstream in("/bin/busybox", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// A build with a step that fails if one of another build runs at the same time.
grpc::Status build_alone(const std::string& address, const std::string& name) {
  BuildkitClient client(address);
  client.directories["dockerfile"] = {
      {"Dockerfile",
       "FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\n"
       "RUN --mount=type=cache,id=one,target=/one [\"/bin/busybox\", \"sh\", \"-c\", "
       "\"busybox mkdir /one/busy && busybox sleep 0.3 && busybox rmdir /one/busy # " +
           name + "\"]\n"}};
  client.directories["context"] = {{"busybox", busybox()}};
  client.open_session();
  moby::buildkit::v1::SolveResponse response;
  return client.solve(client.dockerfile_build(name), response);
}

TEST(MaxParallelism, CountsTheStepsOfAllBuilds) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
  const TempDir dir = TempDir::create(testing::TempDir());
  const DaemonProcess daemon(LADE_DAEMON, dir.path(), {"--oci-max-parallelism=1"});
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

}  // namespace
}  // namespace lade::test
