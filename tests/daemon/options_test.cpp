#include "daemon/server/options.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

DaemonOptions config(const std::string& text) {
  DaemonOptions options;
  read_config(text, "buildkitd.toml", options);
  return options;
}

DaemonOptions flags(std::vector<std::string> words) {
  words.insert(words.begin(), "lade-daemon");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  return read_options(static_cast<int>(argv.size()), argv.data()).value();
}

TEST(DaemonConfig, ReadsRegistries) {
  const auto options = config(R"(
[registry."docker.io"]
  mirrors = ["localhost:5000", "mirror.example/hub"]
[registry."localhost:5000"]
  http = true
[registry."own.example"]
  ca = ["/a.pem"]
  [[registry."own.example".keypair]]
    key = "/k.pem"
    cert = "/c.pem"
)");
  ASSERT_EQ(options.registries.size(), 3u);
  const auto& hub = options.registries[0];
  EXPECT_EQ(hub.prefix, "docker.io");
  ASSERT_EQ(hub.mirrors.size(), 2u);
  EXPECT_TRUE(hub.mirrors[0].insecure);
  EXPECT_FALSE(hub.mirrors[1].insecure);
  EXPECT_EQ(options.registry_tls.at("own.example").keypairs.front().second, "/c.pem");
}

TEST(DaemonConfig, ReadsTheWorkerAndItsPolicies) {
  const auto options = config(R"(
debug = true
insecure-entitlements = ["network.host"]
[grpc]
  address = ["tcp://127.0.0.1:1234"]
  [grpc.tls]
    cert = "/c" 
    key = "/k"
    ca = "/ca"
[worker.oci]
  max-parallelism = 4
  [worker.oci.labels]
    "a" = "b"
  [[worker.oci.gcpolicy]]
    filters = ["type==source.local,type==exec.cachemount"]
    keepDuration = "48h"
    maxUsedSpace = "1GB"
)");
  EXPECT_TRUE(options.debug);
  EXPECT_EQ(options.max_parallelism, 4);
  EXPECT_EQ(options.labels.at("a"), "b");
  EXPECT_EQ(options.tls.ca, "/ca");
  ASSERT_EQ(options.gc_policies.size(), 1u);
  EXPECT_EQ(options.gc_policies[0].keep_seconds, 48 * 3600);
  EXPECT_EQ(options.gc_policies[0].types.size(), 2u);
  EXPECT_TRUE(options.entitlements.contains("network.host"));
}

TEST(DaemonConfig, HasLadesOwnKeys) {
  const auto options = config(
      "[worker.oci]\nstepPids = 500\nnetworkDeny = [\"169.254.0.0/16\"]\nnetworkDenySources = "
      "true\n");
  EXPECT_EQ(options.pids, 500);
  EXPECT_TRUE(options.network_deny_sources);
  EXPECT_EQ(config("").pids, 0);
  EXPECT_FALSE(config("").network_deny_sources);
  EXPECT_NE(error_of([] { config("[worker.oci]\nstepPids = 0\n"); }).find("must be above 0"),
            std::string::npos);
  EXPECT_EQ(flags({"--config", "/dev/null", "--step-pids", "9"}).pids, 9);
  EXPECT_TRUE(flags({"--config", "/dev/null", "--network-deny-sources"}).network_deny_sources);
  EXPECT_NE(error_of([] { flags({"--step-pids=-1"}); }).find("--step-pids: invalid pids value"),
            std::string::npos);
}

TEST(DaemonConfig, ReadsRoomInBytesAndInSharesOfTheDisk) {
  const auto options = config(R"(
[worker.oci]
  reservedSpace = "10%"
  maxUsedSpace = "2GB"
  minFreeSpace = "20%"
  [[worker.oci.gcpolicy]]
    keepBytes = 512
)");
  ASSERT_EQ(options.gc_policies.size(), 2u);
  const auto& one = options.gc_policies[0].space;
  ASSERT_TRUE(one && one->reserved);
  EXPECT_EQ(one->reserved->bytes, 512'000'000u);
  const auto& all = options.gc_policies[1].space;
  ASSERT_TRUE(all && all->reserved && all->max_used && all->min_free);
  EXPECT_EQ(all->reserved->percent, 10u);
  EXPECT_EQ(all->max_used->bytes, uint64_t{2} << 30);
  EXPECT_EQ(all->min_free->percent, 20u);
}

TEST(DaemonConfig, NamesWhatIsNotSupported) {
  const auto error = [](const std::string& text) { return error_of([&] { config(text); }); };
  EXPECT_NE(error("[worker.oci]\nrootless = true\n").find("worker.oci.rootless"),
            std::string::npos);
  EXPECT_NE(error("[dns]\nnameservers = [\"1.1.1.1\"]\n").find("dns"), std::string::npos);
  EXPECT_NE(error("[worker.containerd]\nenabled = true\n").find("containerd"), std::string::npos);
  EXPECT_NE(error("debug = 3\n").find("debug"), std::string::npos);
  EXPECT_NE(error("nonsense").find("buildkitd.toml:1"), std::string::npos);
}

TEST(DaemonFlags, TakesBuildkitdsOwn) {
  const auto options = flags({"--addr", "unix:///a.sock", "--addr=tcp://127.0.0.1:1", "--root",
                              "/r", "--oci-worker=true", "--containerd-worker=false",
                              "--oci-worker-gc=false", "--oci-worker-labels=a=b,c=d", "--debug"});
  EXPECT_EQ(options.addresses.size(), 2u);
  EXPECT_EQ(options.labels.at("c"), "d");
  EXPECT_FALSE(options.gc);
}

TEST(DaemonFlags, NamesWhatIsNotSupported) {
  const auto error = [](std::vector<std::string> words) {
    return error_of([&] { flags(std::move(words)); });
  };
  EXPECT_NE(error({"--containerd-worker=true"}).find("--containerd-worker"), std::string::npos);
  EXPECT_NE(error({"--oci-worker=false"}).find("--oci-worker"), std::string::npos);
  EXPECT_NE(error({"--otel-socket-path=/x"}).find("--otel-socket-path"), std::string::npos);
  EXPECT_NE(error({"--allow-insecure-entitlement=device"}).find("device"), std::string::npos);
  EXPECT_NE(error({"--config=/nowhere"}).find("/nowhere"), std::string::npos);
}

TEST(DaemonFlags, BeatTheFile) {
  const TempDir dir = TempDir::create(testing::TempDir());
  const std::string path = dir.path() + "/config.toml";
  sys::write_file_atomically(path, "root = \"/file\"\n[grpc]\naddress = [\"unix:///file\"]\n");
  const auto options = flags({"--config", path, "--root", "/flag"});
  EXPECT_EQ(options.root, "/flag");
  EXPECT_EQ(options.addresses.front(), "unix:///file");
}

TEST(DaemonFlags, TcpWithoutTlsIsForThisMachineUnlessAsked) {
  for (const char* address : {"tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1"}) {
    const auto options = flags({"--config", "/dev/null", "--addr", address});
    ASSERT_EQ(options.notes.size(), 1U) << address;
    EXPECT_NE(options.notes[0].find("every user of this machine"), std::string::npos);
  }
  for (const char* address : {"tcp://0.0.0.0:1", "tcp://:1", "tcp://10.1.2.3:1", "tcp://[::]:1",
                              "tcp://127.0.0.1.example.com:1"}) {
    const std::vector<std::string> words = {"--config", "/dev/null", "--addr", address};
    EXPECT_NE(error_of([&] { flags(words); }).find("has no TLS"), std::string::npos) << address;
    auto insecure = words;
    insecure.emplace_back("--allow-insecure-tcp");
    EXPECT_EQ(flags(insecure).notes.size(), 1U);
    auto secure = words;
    secure.insert(secure.end(), {"--tlscert", "c", "--tlskey", "k"});
    EXPECT_TRUE(flags(secure).notes.empty());
  }
  EXPECT_TRUE(flags({"--config", "/dev/null", "--addr", "unix:///x"}).notes.empty());
}

}  // namespace
}  // namespace lade
