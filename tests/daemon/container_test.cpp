// Containers of the gateway: what `buildx debug` has its shells in.
#include <csignal>
#include <optional>
#include <thread>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "daemon/container/exec_stream.hpp"
#include "daemon/proto/status.pb.h"
#include "tests/support/buildkit_client.hpp"
#include "tests/support/daemon_program.hpp"
#include "tests/support/loop_disk.hpp"

namespace lade::test {
namespace {

namespace api = moby::buildkit::v1;
namespace gateway = moby::buildkit::v1::frontend;
using Bridge = gateway::LLBBridge::Stub;

constexpr const char* kBuild = "containers";

/// The client's side of ExecProcess.
class Processes {
 public:
  struct Ended {
    uint32_t code = 0;
    std::string error;
    std::string out;
    std::string err;
    std::vector<std::string> order;  ///< of messages that are no output
  };

  explicit Processes(BuildkitClient& client) {
    context_.AddMetadata("buildkit-controlapi-buildid", kBuild);
    stream_ = client.gateway().ExecProcess(&context_);
    reader_ = std::thread([this] { read(); });
  }
  ~Processes() {
    vanish();
    finish();
  }

  void start(const std::string& id, std::vector<std::string> args,
             const std::function<void(gateway::InitMessage&)>& more = {}) {
    gateway::ExecMessage message;
    message.set_processid(id);
    auto& init = *message.mutable_init();
    init.set_containerid("c");
    init.add_fds(1);
    init.add_fds(2);
    for (auto& arg : args) init.mutable_meta()->add_args(std::move(arg));
    if (more) more(init);
    stream_->Write(message);
  }
  void input(const std::string& id, const std::string& text, bool eof) {
    gateway::ExecMessage message;
    message.set_processid(id);
    message.mutable_file()->set_data(text);
    message.mutable_file()->set_eof(eof);
    stream_->Write(message);
  }
  void signal(const std::string& id, const std::string& name) {
    gateway::ExecMessage message;
    message.set_processid(id);
    message.mutable_signal()->set_name(name);
    stream_->Write(message);
  }
  void resize(const std::string& id, uint32_t rows, uint32_t columns) {
    gateway::ExecMessage message;
    message.set_processid(id);
    message.mutable_resize()->set_rows(rows);
    message.mutable_resize()->set_cols(columns);
    stream_->Write(message);
  }
  bool started(const std::string& id) {
    return until([&] { return !processes_[id].order.empty(); });
  }
  /// Waits until the process has written that.
  bool said(const std::string& id, const std::string& text) {
    return until([&] { return processes_[id].out.find(text) != std::string::npos; });
  }
  Ended ended(const std::string& id) {
    EXPECT_TRUE(until([&] {
      const auto& order = processes_[id].order;
      return !order.empty() && order.back() == "done";
    }));
    const std::lock_guard lock(mutex_);
    return processes_[id];
  }
  Ended run(const std::string& id, std::vector<std::string> args,
            const std::function<void(gateway::InitMessage&)>& more = {}) {
    start(id, std::move(args), more);
    return ended(id);
  }
  grpc::Status finish() {
    if (!reader_.joinable()) return grpc::Status::OK;
    stream_->WritesDone();
    reader_.join();
    return stream_->Finish();
  }
  void vanish() { context_.TryCancel(); }

 private:
  bool until(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), done);
  }
  void read() {
    gateway::ExecMessage message;
    while (stream_->Read(&message)) {
      const std::lock_guard lock(mutex_);
      Ended& process = processes_[message.processid()];
      if (message.has_started()) process.order.push_back("started");
      if (message.has_exit()) {
        process.order.push_back("exit");
        process.code = message.exit().code();
        process.error = message.exit().error().message();
      }
      if (message.has_done()) process.order.push_back("done");
      if (message.has_file()) {
        (message.file().fd() == 2 ? process.err : process.out) += message.file().data();
      }
      changed_.notify_all();
    }
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<gateway::ExecMessage, gateway::ExecMessage>> stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Ended> processes_;
  std::thread reader_;
};

/// A build that a client drives, with a result of busybox.
class ContainerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
    daemon_.emplace(kDaemonProgram, dir_.path());
    client_.emplace(daemon_->address());
    client_->secrets = {{"token", "hush"}};
    std::string dockerfile = "FROM scratch\nCOPY passwd /etc/\n";
    for (const char* name : {"sh", "cat", "sleep", "stty", "rm", "ln", "id", "mkdir"}) {
      dockerfile += std::string("COPY --chmod=755 busybox /bin/") + name + "\n";
    }
    client_->directories["dockerfile"] = {
        {"Dockerfile", dockerfile},
        {"failing",
         dockerfile + "RUN --mount=type=cache,id=c,target=/cache --mount=type=tmpfs,target=/memory "
                      "echo left > /left; echo cached > /cache/x; exit 7\n"}};
    client_->directories["context"] = {{"busybox", busybox()},
                                       {"passwd", "root:x:0:0::/:/bin/sh\nu:x:7:8::/:/bin/sh\n"}};
    client_->open_session();
    auto request = client_->dockerfile_build(kBuild);
    request.clear_frontend();
    control_ = std::thread([this, request] { solved_ = client_->solve(request, response_); });
    gateway::SolveRequest solve;
    solve.set_frontend("dockerfile.v0");
    gateway::SolveResponse result;
    const auto status = call(&Bridge::Solve, solve, result);
    ASSERT_TRUE(status.ok()) << status.error_message();
    root_ = result.result().ref().id();
  }
  void TearDown() override {
    if (!control_.joinable()) return;
    end_build();
  }

  void end_build() {
    gateway::ReturnResponse ignored;
    call(&Bridge::Return, gateway::ReturnRequest(), ignored);
    control_.join();
  }

  template <class Method, class In, class Out>
  grpc::Status call(Method method, const In& in, Out& out) {
    grpc::ClientContext context;
    context.AddMetadata("buildkit-controlapi-buildid", kBuild);
    return (client_->gateway().*method)(&context, in, &out);
  }

  gateway::NewContainerRequest request() const {
    gateway::NewContainerRequest out;
    out.set_containerid("c");
    auto& mount = *out.add_mounts();
    mount.set_dest("/");
    mount.set_resultid(root_);
    return out;
  }
  grpc::Status make(const gateway::NewContainerRequest& request) {
    gateway::NewContainerResponse ignored;
    return call(&Bridge::NewContainer, request, ignored);
  }
  grpc::Status release() {
    gateway::ReleaseContainerRequest in;
    in.set_containerid("c");
    gateway::ReleaseContainerResponse ignored;
    return call(&Bridge::ReleaseContainer, in, ignored);
  }
  std::string read(const std::string& path, int mount = 0) {
    gateway::ReadFileRequest in;
    in.set_ref("c");
    in.set_filepath(path);
    in.set_mountindex(mount);
    gateway::ReadFileResponse out;
    const auto status = call(&Bridge::ReadFileContainer, in, out);
    return status.ok() ? out.data() : "error: " + status.error_message();
  }
  std::string list(const std::string& path) {
    gateway::ReadDirRequest in;
    in.set_ref("c");
    in.set_dirpath(path);
    gateway::ReadDirResponse out;
    const auto status = call(&Bridge::ReadDirContainer, in, out);
    if (!status.ok()) return "error: " + status.error_message();
    std::string names;
    for (const auto& entry : out.entries()) names += entry.path() + " ";
    return names;
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
  std::optional<DaemonProcess> daemon_;
  std::optional<BuildkitClient> client_;
  std::thread control_;
  grpc::Status solved_;
  api::SolveResponse response_;
  std::string root_;
};

/// errdefs.Solve among a status's details.
nlohmann::json solve_details(const grpc::Status& status) {
  lade::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return {};
  for (const auto& detail : details.details()) {
    if (detail.type_url() == "github.com/moby/buildkit/errdefs.Solve+json") {
      return nlohmann::json::parse(detail.value(), nullptr, false);
    }
  }
  return {};
}

TEST_F(ContainerTest, WhatAFailedStepLeftCanBeLookedInto) {
  gateway::SolveRequest solve;
  solve.set_frontend("dockerfile.v0");
  (*solve.mutable_frontendopt())["filename"] = "failing";
  solve.set_evaluate(true);
  gateway::SolveResponse ignored;
  const auto status = call(&Bridge::Solve, solve, ignored);
  ASSERT_FALSE(status.ok());
  const auto details = solve_details(status);
  ASSERT_TRUE(details.is_object()) << status.error_message();
  const auto& exec = details["op"]["exec"];
  EXPECT_EQ(exec["meta"]["args"][0], "/bin/sh");
  ASSERT_EQ(exec["mounts"].size(), 3u);
  ASSERT_EQ(details["mountIDs"].size(), 3u);
  ASSERT_EQ(details["inputIDs"].size(), 3u);
  EXPECT_EQ(exec["mounts"][1]["mountType"], "CACHE");
  EXPECT_EQ(details["mountIDs"][1], "") << "a cache is no result";

  auto wanted = request();
  wanted.mutable_mounts(0)->set_resultid(details["mountIDs"][0].get<std::string>());
  auto& before = *wanted.add_mounts();
  before.set_dest("/before");
  before.set_resultid(details["inputIDs"][0].get<std::string>());
  auto& cache = *wanted.add_mounts();
  cache.set_dest("/cache");
  cache.set_mounttype(pb::CACHE);
  cache.mutable_cacheopt()->set_id(exec["mounts"][1]["cacheOpt"]["ID"].get<std::string>());
  ASSERT_TRUE(make(wanted).ok());
  Processes processes(*client_);
  const auto ended = processes.run(
      "1", {"sh", "-c", "cat /left /cache/x; cat /before/left 2>/dev/null || echo not before"});
  EXPECT_EQ(ended.out, "left\ncached\nnot before\n");
}

TEST_F(ContainerTest, RunsAProcessWithItsStreams) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sh", "-c", "cat; echo problem >&2; exit 3"},
                  [](auto& init) { init.add_fds(0); });
  processes.input("1", "hello ", false);
  processes.input("1", "there", true);
  const auto ended = processes.ended("1");
  EXPECT_EQ(ended.out, "hello there");
  EXPECT_EQ(ended.err, "problem\n");
  EXPECT_EQ(ended.code, 3u);
  EXPECT_EQ(ended.error, "exit code: 3");
  EXPECT_EQ(ended.order, (std::vector<std::string>{"started", "exit", "done"}));
}

TEST_F(ContainerTest, SeveralProcessesShareOneRootAndEndWithTheFirst) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sleep", "1000"});
  EXPECT_EQ(processes.run("2", {"sh", "-c", "echo shared > /file"}).code, 0u);
  EXPECT_EQ(processes.run("3", {"cat", "/file"}).out, "shared\n");
  processes.start("4", {"sh", "-c", "echo ready; exec sleep 1000"});
  ASSERT_TRUE(processes.said("4", "ready"));
  processes.signal("1", "KILL");
  EXPECT_EQ(processes.ended("1").code, 137u);
  EXPECT_EQ(processes.ended("4").code, 137u);
  EXPECT_NE(processes.run("5", {"sh", "-c", "true"}).code, 0u);
}

TEST_F(ContainerTest, TerminalsHaveASizeAndEcho) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sh", "-c", "echo ready; read x; stty size; echo got $x $TERM"},
                  [](auto& init) {
                    init.add_fds(0);
                    init.set_tty(true);
                  });
  processes.resize("1", 33, 101);
  ASSERT_TRUE(processes.said("1", "ready"));
  processes.input("1", "typed\r", false);
  const auto ended = processes.ended("1");
  EXPECT_NE(ended.out.find("33 101"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("got typed xterm"), std::string::npos) << ended.out;
}

TEST_F(ContainerTest, ReleaseEndsWhatRuns) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"cat"}, [](auto& init) { init.add_fds(0); });
  processes.start("2", {"sleep", "1000"});
  ASSERT_TRUE(processes.started("1") && processes.started("2"));
  EXPECT_TRUE(release().ok());
  for (const char* id : {"1", "2"}) {
    const auto ended = processes.ended(id);
    EXPECT_EQ(ended.code, 255u);
    EXPECT_EQ(ended.error, "context canceled");
  }
  EXPECT_FALSE(release().ok());
  EXPECT_TRUE(make(request()).ok()) << "the name is free again";
}

TEST_F(ContainerTest, TheBuildsEndEndsWhatRuns) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sh", "-c", "echo ready; exec sleep 1000"});
  ASSERT_TRUE(processes.said("1", "ready"));
  end_build();
  EXPECT_EQ(processes.ended("1").code, 255u);
}

TEST_F(ContainerTest, AClientThatVanishesEndsItsProcesses) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sh", "-c", "echo ready; exec sleep 1000"});
  ASSERT_TRUE(processes.said("1", "ready"));
  processes.vanish();
  EXPECT_FALSE(processes.finish().ok());
  // The container's sandbox ends with its first process.
  Processes others(*client_);
  bool ended = false;
  for (int i = 0; i < 200 && !ended; ++i) {
    ended = others.run("later " + std::to_string(i), {"sh", "-c", "true"}).code != 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(ended);
}

TEST_F(ContainerTest, AClientThatVanishesWhileNobodyReadsItsInputEndsItsProcesses) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sleep", "1000"}, [](auto& init) { init.add_fds(0); });
  ASSERT_TRUE(processes.started("1"));
  for (int i = 0; i < 8; ++i) processes.input("1", std::string(32'000, 'x'), false);
  processes.vanish();
  EXPECT_FALSE(processes.finish().ok());
  EXPECT_TRUE(release().ok());
}

TEST_F(ContainerTest, UsersAreThoseOfTheContainerAsItIs) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  processes.start("1", {"sleep", "1000"});
  const auto as = [](const char* user) {
    return [user](auto& init) { init.mutable_meta()->set_user(user); };
  };
  EXPECT_EQ(processes.run("2", {"sh", "-c", "id -u; id -g"}, as("u")).out, "7\n8\n");
  EXPECT_EQ(processes.run("3", {"sh", "-c", "echo new:x:9:10::/: >> /etc/passwd"}).code, 0u);
  EXPECT_EQ(processes.run("4", {"sh", "-c", "id -u; id -g"}, as("new")).out, "9\n10\n");
  const auto ended = processes.run("5", {"id"}, as("nobody"));
  EXPECT_EQ(ended.code, 255u);
  EXPECT_NE(ended.error.find("nobody"), std::string::npos);
}

TEST_F(ContainerTest, SecretsAreVariablesAndFiles) {
  auto wanted = request();
  auto& mount = *wanted.add_mounts();
  mount.set_dest("/run/secret");
  mount.set_mounttype(pb::SECRET);
  mount.mutable_secretopt()->set_id("token");
  mount.mutable_secretopt()->set_mode(0400);
  ASSERT_TRUE(make(wanted).ok());
  Processes processes(*client_);
  const auto ended =
      processes.run("1", {"sh", "-c", "cat /run/secret; echo \" $TOKEN\""}, [](auto& init) {
        auto& secret = *init.add_secretenv();
        secret.set_id("token");
        secret.set_name("TOKEN");
      });
  EXPECT_EQ(ended.out, "hush hush\n");
  const auto missing =
      processes.run("2", {"true"}, [](auto& init) { init.add_secretenv()->set_id("other"); });
  EXPECT_NE(missing.error.find("other"), std::string::npos);
}

TEST_F(ContainerTest, MountsAreReadOnlyOrWrittenToForNothing) {
  auto wanted = request();
  auto& kept = *wanted.add_mounts();
  kept.set_dest("/kept");
  kept.set_resultid(root_);
  kept.set_readonly(true);
  auto& part = *wanted.add_mounts();
  part.set_dest("/part");
  part.set_resultid(root_);
  part.set_selector("/etc");
  auto& empty = *wanted.add_mounts();
  empty.set_dest("/empty");
  auto& cache = *wanted.add_mounts();
  cache.set_dest("/cache");
  cache.set_mounttype(pb::CACHE);
  cache.mutable_cacheopt()->set_id("a cache");
  auto& memory = *wanted.add_mounts();
  memory.set_dest("/memory");
  memory.set_mounttype(pb::TMPFS);
  ASSERT_TRUE(make(wanted).ok());
  Processes processes(*client_);
  processes.start("1", {"sleep", "1000"});
  EXPECT_NE(processes.run("2", {"sh", "-c", "echo x > /kept/x"}).code, 0u);
  const auto ended = processes.run(
      "3", {"sh", "-c",
            "cat /part/passwd && for d in part empty cache memory; do echo $d > /$d/x; done"});
  EXPECT_EQ(ended.code, 0u) << ended.err;
  EXPECT_EQ(read("etc/x", 2), "part\n");
  EXPECT_EQ(read("/x", 3), "empty\n");
  EXPECT_EQ(read("/x", 4), "cache\n");
  EXPECT_NE(read("/x", 5).find("cannot be read"), std::string::npos);
  EXPECT_NE(read("/x", 6).find("out of bounds"), std::string::npos);
  EXPECT_NE(read("/kept/x").find("no such file"), std::string::npos) << "of the root alone";
}

TEST_F(ContainerTest, FilesAreReadAsTheContainerHasThemNow) {
  ASSERT_TRUE(make(request()).ok());
  EXPECT_EQ(read("/etc/passwd").substr(0, 5), "root:") << "before anything runs";
  Processes processes(*client_);
  processes.start("1", {"sleep", "1000"});
  const auto ended = processes.run(
      "2", {"sh", "-c",
            "rm /bin/ln2 2>/dev/null; rm /bin/stty; mkdir -p /new/dir; echo made > /new/dir/file; "
            "ln -s /new/dir /etc/link; ln -s loop /loop; ln -s /proc/self/maps /out"});
  EXPECT_EQ(ended.code, 0u) << ended.err;
  EXPECT_EQ(read("/etc/link/file"), "made\n");
  EXPECT_EQ(read("/etc/link/../dir/file"), "made\n");
  EXPECT_NE(read("/loop").find("too many symlinks"), std::string::npos);
  EXPECT_NE(read("/out").find("no such file"), std::string::npos);
  EXPECT_NE(read("/bin/stty").find("no such file"), std::string::npos);
  EXPECT_EQ(list("/bin"), "cat id ln mkdir rm sh sleep ");
  EXPECT_EQ(list("/new/dir"), "file ");
  gateway::StatFileRequest in;
  in.set_ref("c");
  in.set_path("/out");
  gateway::StatFileResponse out;
  EXPECT_TRUE(call(&Bridge::StatFileContainer, in, out).ok());
  EXPECT_EQ(out.stat().linkname(), "/proc/self/maps");
}

TEST_F(ContainerTest, WhatIsNotAllowedIsRefused) {
  ASSERT_TRUE(make(request()).ok());
  EXPECT_NE(make(request()).error_message().find("already exists"), std::string::npos);
  Processes processes(*client_);
  const auto insecure =
      processes.run("1", {"id"}, [](auto& init) { init.set_security(pb::INSECURE); });
  EXPECT_EQ(insecure.error, "security.insecure is not allowed");
  const auto missing = processes.run("2", {"/no/such"});
  EXPECT_EQ(missing.code, 127u);
  EXPECT_NE(missing.error.find("/no/such"), std::string::npos);
  gateway::NewContainerRequest rootless;
  rootless.set_containerid("d");
  EXPECT_FALSE(make(rootless).ok());
  processes.signal("nobody", "TERM");
  EXPECT_FALSE(processes.finish().ok());
}

TEST_F(ContainerTest, NobodyInOneReachesTheMachinesDevices) {
  const LoopDisk disk(dir_.path() + "/disk");
  if (!disk) GTEST_SKIP() << "no loop device can be had";
  auto wanted = request();
  for (const auto type : {pb::CACHE, pb::TMPFS, pb::BIND}) {
    auto& mount = *wanted.add_mounts();
    mount.set_dest("/" + pb::MountType_Name(type));
    mount.set_mounttype(type);
    if (type == pb::CACHE) mount.mutable_cacheopt()->set_id("a cache");
  }
  ASSERT_TRUE(make(wanted).ok());
  Processes processes(*client_);
  // busybox is whatever it is called.
  const std::string script =
      "for d in / /CACHE /TMPFS /BIND; do test -b $d/d || ln -s /bin/sh /bin/mknod; "
      "mknod -m 666 $d/d " +
      disk.node() +
      "; cat $d/d; echo overwritten 1<>$d/d; done 2>&1; echo; test -b /d && echo there";
  processes.start("1", {"sh", "-c", script + "; exec sleep 1000"});
  ASSERT_TRUE(processes.said("1", "there"));
  const auto user = processes.run("2", {"sh", "-c", "cat /d 2>&1; echo overwritten 1<>/d"},
                                  [](auto& init) { init.mutable_meta()->set_user("u"); });
  const auto joined = processes.run(
      "3", {"sh", "-c", "mknod /e " + disk.node() + "; cat /e 2>&1; echo overwritten 1<>/e"});
  processes.signal("1", "KILL");
  for (const auto& said :
       {processes.ended("1").out, user.out + user.err, joined.out + joined.err}) {
    EXPECT_EQ(said.find(disk.content), std::string::npos) << said;
    const bool refused = said.find("Permission denied") != std::string::npos ||
                         said.find("not permitted") != std::string::npos;
    EXPECT_TRUE(refused) << said;
  }
  EXPECT_EQ(disk.now(), disk.content);
}

TEST_F(ContainerTest, MuchOutputComesThroughAtTheClientsPace) {
  ASSERT_TRUE(make(request()).ok());
  Processes processes(*client_);
  const auto ended = processes.run(
      "1",
      {"sh", "-c", "i=0; while [ $i -lt 400 ]; do cat /etc/passwd /bin/sh; i=$((i+80)); done"});
  EXPECT_EQ(ended.code, 0u);
  EXPECT_GT(ended.out.size(), 5u << 20);
}

TEST(SignalNumber, KnowsNamesWithAndWithoutPrefix) {
  EXPECT_EQ(signal_number("TERM"), SIGTERM);
  EXPECT_EQ(signal_number("SIGKILL"), SIGKILL);
  EXPECT_EQ(signal_number("RTMIN+3"), SIGRTMIN + 3);
  EXPECT_EQ(signal_number("RTMAX-1"), SIGRTMAX - 1);
  EXPECT_EQ(signal_number("RTMIN+99"), std::nullopt);
  EXPECT_EQ(signal_number("NOPE"), std::nullopt);
  EXPECT_EQ(signal_number(""), std::nullopt);
}

}  // namespace
}  // namespace lade::test
