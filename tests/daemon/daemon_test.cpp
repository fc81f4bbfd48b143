// The daemon as a process, seen by a client that speaks its protocol.
#include <array>
#include <atomic>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "base/text.hpp"
#include "daemon/proto/content.grpc.pb.h"
#include "daemon/proto/status.pb.h"
#include "snapshotter/content/manifest.hpp"
#include "snapshotter/state.hpp"
#include "tests/support/buildkit_client.hpp"
#include "tests/support/daemon_program.hpp"
#include "tests/support/error_of.hpp"

namespace lade::test {
namespace {

namespace api = moby::buildkit::v1;

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for the sandbox";
    daemon_.emplace(kDaemonProgram, dir_.path());
    client_.emplace(daemon_->address());
  }

  void offer(const std::string& dockerfile, std::map<std::string, std::string> context = {}) {
    client_->directories["dockerfile"] = {{"Dockerfile", dockerfile}};
    client_->directories["context"] = std::move(context);
    client_->open_session();
  }

  grpc::Status build(api::SolveRequest request) { return client_->solve(request, response_); }

  api::SolveRequest to_tar(const std::string& ref) {
    auto request = client_->dockerfile_build(ref);
    request.add_exporters()->set_type("tar");
    return request;
  }

  static std::string error_source(const grpc::Status& status) {
    lade::rpc::Status details;
    if (!details.ParseFromString(status.error_details()) || details.details_size() == 0) return {};
    return details.details(0).type_url() + " " + details.details(0).value();
  }

  /// The first event of the history, of which there must be one.
  void read_history(api::BuildHistoryEvent& event) {
    grpc::ClientContext context;
    api::BuildHistoryRequest wanted;
    wanted.set_earlyexit(true);
    const auto reader = client_->control().ListenBuildHistory(&context, wanted);
    ASSERT_TRUE(reader->Read(&event));
    reader->Finish();
  }

  /// Of a tar of short names and small files: those of its headers.
  static std::set<std::string> names_in(const std::string& tar) {
    std::set<std::string> out;
    for (size_t at = 0; at + 512 <= tar.size(); at += 512) {
      if (tar.compare(at + 257, 5, "ustar") == 0) out.insert(clean_path(&tar[at]));
    }
    return out;
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
  std::optional<DaemonProcess> daemon_;
  std::optional<BuildkitClient> client_;
  api::SolveResponse response_;
};

TEST_F(DaemonTest, SaysWhatItIs) {
  grpc::ClientContext info_context;
  api::InfoResponse info;
  ASSERT_TRUE(client_->control().Info(&info_context, {}, &info).ok());
  EXPECT_EQ(info.buildkitversion().package(), "lade");
  grpc::ClientContext workers_context;
  api::ListWorkersResponse workers;
  ASSERT_TRUE(client_->control().ListWorkers(&workers_context, {}, &workers).ok());
  ASSERT_EQ(workers.record_size(), 1);
  EXPECT_EQ(workers.record(0).platforms(0).os(), "linux");
  EXPECT_FALSE(workers.record(0).id().empty());
}

TEST_F(DaemonTest, EndsCleanlyAndRemovesItsSocket) {
  EXPECT_EQ(daemon_->end(SIGTERM), 0);
  EXPECT_NE(::access((dir_.path() + "/socket").c_str(), F_OK), 0);
}

TEST_F(DaemonTest, ItsSocketIsItsOwnersAndItsGroups) {
  struct stat info;
  ASSERT_EQ(::lstat((dir_.path() + "/socket").c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  EXPECT_EQ(info.st_uid, ::geteuid());
  EXPECT_EQ(info.st_gid, ::getegid());
}

TEST_F(DaemonTest, ASecondDaemonDoesNotTakeTheSocket) {
  EXPECT_NE(error_of([&] { DaemonProcess(kDaemonProgram, dir_.path()); }), "");
  grpc::ClientContext context;
  api::InfoResponse info;
  EXPECT_TRUE(client_->control().Info(&context, {}, &info).ok());
}

size_t threads_of(pid_t pid) {
  const UniqueFd tasks = sys::open(fmt::format("/proc/{}/task", pid), O_RDONLY | O_DIRECTORY);
  return sys::list_dir(tasks.get()).size();
}

TEST_F(DaemonTest, AFloodOfCallsIsBoundedAndPasses) {
  {
    constexpr int kCalls = 3000;
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<api::BuildHistoryEvent>>> calls;
    for (int i = 0; i < kCalls; ++i) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      calls.push_back(client_->control().ListenBuildHistory(contexts.back().get(), {}));
    }
    size_t most = 0;
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      most = std::max(most, threads_of(daemon_->pid()));
    }
    EXPECT_GT(most, 500U);
    EXPECT_LT(most, 1500U);
    for (auto& context : contexts) context->TryCancel();
    for (auto& call : calls) call->Finish();
  }
  // What the flood took is given back in its own time.
  grpc::Status status;
  for (int i = 0; i < 100; ++i) {
    grpc::ClientContext context;
    api::InfoResponse info;
    status = client_->control().Info(&context, {}, &info);
    if (status.ok()) break;
    ASSERT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(status.ok()) << status.error_message();
  offer("FROM scratch\nCOPY a.txt /\n", {{"a.txt", "hello"}});
  EXPECT_TRUE(build(to_tar("after")).ok());
}

constexpr std::string_view kClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The end of HTTP/2's beginning, then `count` calls that are never ended.
std::string flood_of_streams(uint32_t count) {
  const auto frame = [](uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
    std::string head(9, '\0');
    for (int i = 0; i < 3; ++i) head[i] = static_cast<char>(payload.size() >> (16 - 8 * i) & 0xff);
    head[3] = static_cast<char>(type);
    head[4] = static_cast<char>(flags);
    for (int i = 0; i < 4; ++i) head[5 + i] = static_cast<char>(stream >> (24 - 8 * i) & 0xff);
    return head + payload;
  };
  // Without tables (RFC 7541, 6.2.2).
  const auto field = [](std::string_view name, std::string_view value) {
    return std::string(1, '\0') + static_cast<char>(name.size()) + std::string(name) +
           static_cast<char>(value.size()) + std::string(value);
  };
  const std::string headers = field(":method", "POST") + field(":scheme", "http") +
                              field(":path", "/moby.buildkit.v1.Control/ListenBuildHistory") +
                              field(":authority", "x") + field("content-type", "application/grpc") +
                              field("te", "trailers");
  constexpr uint8_t kSettings = 4;
  constexpr uint8_t kHeaders = 1;
  constexpr uint8_t kEndHeaders = 4;
  constexpr uint8_t kAcknowledged = 1;
  std::string out = frame(kSettings, kAcknowledged, 0, "");
  for (uint32_t i = 0; i < count; ++i) out += frame(kHeaders, kEndHeaders, 2 * i + 1, headers);
  return out;
}

TEST_F(DaemonTest, AConnectionWithTooManyCallsIsClosed) {
  const std::string path = dir_.path() + "/socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd flood(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(flood.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::string begin = std::string(kClientPreface) + std::string("\0\0\0\4\0\0\0\0\0", 9);
  ASSERT_EQ(::send(flood.get(), begin.data(), begin.size(), 0), std::ssize(begin));
  std::array<char, 4096> answer{};
  ASSERT_GT(::recv(flood.get(), answer.data(), answer.size(), 0), 0);  // its settings
  const std::string bytes = flood_of_streams(3000);
  // May break off in the middle, then.
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t size =
        ::send(flood.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) break;
    sent += static_cast<size_t>(size);
  }
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(flood.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ssize_t size = 0;
  while ((size = ::recv(flood.get(), answer.data(), answer.size(), 0)) > 0) {
  }
  EXPECT_TRUE(size == 0 || errno == ECONNRESET || errno == EPIPE) << errno;
  grpc::Status status;
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    api::InfoResponse info;
    status = client_->control().Info(&context, {}, &info);
    if (status.ok()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(DaemonTest, BuildsFromTheSessionsDirectories) {
  offer("FROM scratch\nCOPY a.txt /here/\n", {{"a.txt", "hello"}, {"unused", "x"}});
  const auto status = build(to_tar("build1"));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_NE(client_->files[0].find("here/a.txt"), std::string::npos);
  EXPECT_NE(client_->files[0].find("hello"), std::string::npos);
}

TEST_F(DaemonTest, TheSecondTimeNothingCrossesAndAllIsCached) {
  offer("FROM scratch\nCOPY . /\n", {{"a.txt", "hello"}, {"b.txt", "x"}});
  ASSERT_TRUE(build(to_tar("build1")).ok());
  client_->asked.clear();
  ASSERT_TRUE(build(to_tar("build2")).ok());
  for (const auto& path : client_->asked) EXPECT_EQ(path, "Dockerfile");
  bool cached = false;
  const auto status = client_->status("build2");
  for (const auto& vertex : status.vertexes()) cached = cached || vertex.cached();
  EXPECT_TRUE(cached);
}

TEST_F(DaemonTest, ItListsAKnownContextWhileTheDockerfileComes) {
  offer("FROM scratch\nCOPY . /\n", {{"a", "1"}});
  ASSERT_TRUE(build(to_tar("first")).ok());

  std::promise<void> listed;
  std::atomic<bool> waited_for = false;
  client_->on_listing = [&, done = listed.get_future().share(),
                         once = std::make_shared<std::once_flag>()](const AskedListing& asked) {
    if (asked.name == "context" && asked.follow.empty()) {
      std::call_once(*once, [&] { listed.set_value(); });
    }
    // One that waits for the Dockerfile first would wait for ever.
    if (asked.name == "dockerfile") {
      waited_for = done.wait_for(std::chrono::seconds(60)) == std::future_status::ready;
    }
  };
  client_->directories["context"] = {{"a", "1"}, {"b", "2"}};
  ASSERT_TRUE(build(to_tar("second")).ok());
  EXPECT_TRUE(waited_for);
  EXPECT_EQ(names_in(client_->files[0]), (std::set<std::string>{"a", "b"}));
}

TEST_F(DaemonTest, WhatItListedEarlyIsNotUsedForAnotherChoiceOfFiles) {
  offer("FROM scratch\nCOPY . /\n", {{"a", "1"}, {"b", "2"}});
  ASSERT_TRUE(build(to_tar("first")).ok());
  EXPECT_EQ(names_in(client_->files[0]), (std::set<std::string>{"a", "b"}));

  std::mutex mutex;
  std::vector<AskedListing> asked;
  client_->on_listing = [&](const AskedListing& listing) {
    const std::lock_guard lock(mutex);
    if (listing.name == "context") asked.push_back(listing);
  };
  client_->directories["context"] = {{".dockerignore", "b\n"}, {"a", "1"}, {"b", "2"}};
  client_->files.clear();
  ASSERT_TRUE(build(to_tar("second")).ok());
  ASSERT_EQ(asked.size(), 3U);  // as the last time, the .dockerignore, and with its pattern
  EXPECT_EQ(asked.back().exclude, std::vector<std::string>{"b"});
  EXPECT_EQ(names_in(client_->files[0]), (std::set<std::string>{".dockerignore", "a"}));

  // The last choice is what is expected from now on.
  asked.clear();
  ASSERT_TRUE(build(to_tar("third")).ok());
  EXPECT_EQ(asked.size(), 2U);
}

TEST_F(DaemonTest, ProgressTellsNamesAndEnds) {
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  ASSERT_TRUE(build(to_tar("build1")).ok());
  std::set<std::string> ended;
  const auto status = client_->status("build1");
  for (const auto& vertex : status.vertexes()) {
    if (vertex.has_completed()) ended.insert(vertex.name());
  }
  EXPECT_TRUE(ended.contains("[internal] load build definition from Dockerfile"));
  EXPECT_TRUE(ended.contains("[1/1] COPY a /"));
  EXPECT_TRUE(ended.contains("exporting to client tarball"));
}

TEST_F(DaemonTest, BlobsCanBeListedAndRead) {
  namespace content = containerd::services::content::v1;
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  auto request = client_->dockerfile_build("build1");
  auto& exporter = *request.add_exporters();
  exporter.set_type("image");
  (*exporter.mutable_attrs())["name"] = "example/app:1";
  ASSERT_TRUE(build(request).ok());
  const std::string digest = response_.exporterresponse().at("containerimage.digest");
  api::BuildHistoryEvent event;
  ASSERT_NO_FATAL_FAILURE(read_history(event));
  ASSERT_TRUE(event.record().result().results().contains(0));
  EXPECT_EQ(event.record().result().results().at(0).digest(), digest);
  const auto stub = content::Content::NewStub(
      grpc::CreateChannel(daemon_->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext list_context;
  const auto list = stub->List(&list_context, {});
  std::map<std::string, int64_t> sizes;
  content::ListContentResponse some;
  while (list->Read(&some)) {
    for (const auto& info : some.info()) sizes[info.digest()] = info.size();
  }
  EXPECT_TRUE(list->Finish().ok());
  ASSERT_TRUE(sizes.contains(digest));

  const auto read = [&](int64_t offset, int64_t size) {
    grpc::ClientContext context;
    content::ReadContentRequest wanted;
    wanted.set_digest(digest);
    wanted.set_offset(offset);
    wanted.set_size(size);
    const auto stream = stub->Read(&context, wanted);
    content::ReadContentResponse piece;
    std::string out;
    while (stream->Read(&piece)) out += piece.data();
    return stream->Finish().ok() ? out : "an error";
  };
  const std::string whole = read(0, 0);
  EXPECT_EQ(Digest::of(whole).str(), digest);
  EXPECT_EQ(static_cast<int64_t>(whole.size()), sizes[digest]);
  EXPECT_EQ(read(2, 5), whole.substr(2, 5));
  EXPECT_EQ(read(2, 1 << 30), whole.substr(2));
  EXPECT_EQ(read(static_cast<int64_t>(whole.size()) + 1, 1), "an error");

  grpc::ClientContext info_context;
  content::InfoRequest other;
  other.set_digest(Digest::of("no such blob").str());
  content::InfoResponse ignored;
  EXPECT_EQ(stub->Info(&info_context, other, &ignored).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(DaemonTest, RecordsOfFailedBuildsReferToAllThatWasSaid) {
  namespace content = containerd::services::content::v1;
  offer("FROM scratch\nCOPY absent /\n");
  const auto failed = build(to_tar("build1"));
  ASSERT_FALSE(failed.ok());
  api::BuildHistoryEvent event;
  ASSERT_NO_FATAL_FAILURE(read_history(event));
  EXPECT_EQ(event.record().error().message(), failed.error_message());
  const auto stub = content::Content::NewStub(
      grpc::CreateChannel(daemon_->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  content::ReadContentRequest blob;
  blob.set_digest(event.record().externalerror().digest());
  const auto stream = stub->Read(&context, blob);
  content::ReadContentResponse piece;
  ASSERT_TRUE(stream->Read(&piece));
  EXPECT_EQ(piece.data(), failed.error_details());
  EXPECT_EQ(static_cast<int64_t>(piece.data().size()), event.record().externalerror().size());
}

TEST_F(DaemonTest, ErrorsNameTheLines) {
  offer("FROM scratch\nNONSENSE\n");
  const auto status = build(to_tar("build1"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_NE(status.error_message().find("unknown instruction: NONSENSE"), std::string::npos);
  const std::string source = error_source(status);
  EXPECT_NE(source.find("errdefs.Source+json"), std::string::npos) << source;
  EXPECT_NE(source.find("\"line\":2"), std::string::npos) << source;
}

TEST_F(DaemonTest, ImagesAnswerTheirDigests) {
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  auto request = client_->dockerfile_build("build1");
  auto& exporter = *request.add_exporters();
  exporter.set_type("oci");
  (*exporter.mutable_attrs())["name"] = "example/app:1";
  ASSERT_TRUE(build(request).ok());
  const auto& answer = response_.exporterresponse();
  EXPECT_TRUE(answer.at("containerimage.digest").starts_with("sha256:"));
  EXPECT_EQ(answer.at("image.name"), "docker.io/example/app:1");
  EXPECT_NE(client_->files[0].find("oci-layout"), std::string::npos);
}

TEST_F(DaemonTest, SeveralExportersEachGetTheirs) {
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  auto request = client_->dockerfile_build("build1");
  request.add_exporters()->set_type("tar");
  request.add_exporters()->set_type("docker");
  ASSERT_TRUE(build(request).ok());
  EXPECT_EQ(client_->files[0].find("manifest.json"), std::string::npos);
  EXPECT_NE(client_->files[1].find("manifest.json"), std::string::npos);
}

TEST_F(DaemonTest, TheGatewayDrivesABuild) {
  offer("FROM scratch\nCOPY a /dir/\n", {{"a", "text"}});
  api::SolveRequest request = to_tar("gateway");
  request.clear_frontend();
  grpc::Status solved;
  std::thread control([&] { solved = build(request); });
  const auto call = [&](auto method, const auto& in, auto& out) {
    grpc::ClientContext context;
    context.AddMetadata("buildkit-controlapi-buildid", "gateway");
    return (client_->gateway().*method)(&context, in, &out);
  };
  using Stub = api::frontend::LLBBridge::Stub;
  api::frontend::PongResponse pong;
  EXPECT_TRUE(call(&Stub::Ping, api::frontend::PingRequest(), pong).ok());
  EXPECT_GT(pong.llbcaps_size(), 10);
  api::frontend::SolveRequest solve;
  solve.set_frontend("dockerfile.v0");
  api::frontend::SolveResponse result;
  const auto status = call(&Stub::Solve, solve, result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_NE(result.result().metadata().at("containerimage.config").find("\"os\":\"linux\""),
            std::string::npos);
  api::frontend::ReadFileRequest read;
  read.set_ref(result.result().ref().id());
  read.set_filepath("/dir/a");
  api::frontend::ReadFileResponse bytes;
  EXPECT_TRUE(call(&Stub::ReadFile, read, bytes).ok());
  EXPECT_EQ(bytes.data(), "text");
  api::frontend::ReadDirRequest list;
  list.set_ref(read.ref());
  list.set_dirpath("/");
  api::frontend::ReadDirResponse entries;
  EXPECT_TRUE(call(&Stub::ReadDir, list, entries).ok());
  ASSERT_EQ(entries.entries_size(), 1);
  EXPECT_EQ(entries.entries(0).path(), "dir");
  read.set_filepath("/absent");
  EXPECT_FALSE(call(&Stub::ReadFile, read, bytes).ok());
  api::frontend::ReturnRequest back;
  *back.mutable_result() = result.result();
  api::frontend::ReturnResponse ignored;
  EXPECT_TRUE(call(&Stub::Return, back, ignored).ok());
  control.join();
  EXPECT_TRUE(solved.ok()) << solved.error_message();
  EXPECT_NE(client_->files[0].find("dir/a"), std::string::npos);
}

TEST_F(DaemonTest, SubrequestsAreAnswered) {
  offer("FROM scratch AS one\nFROM scratch AS two\n");
  api::SolveRequest request = client_->dockerfile_build("gateway");
  request.clear_frontend();
  std::thread control([&] { build(request); });
  grpc::ClientContext context;
  context.AddMetadata("buildkit-controlapi-buildid", "gateway");
  api::frontend::SolveRequest solve;
  solve.set_frontend("dockerfile.v0");
  (*solve.mutable_frontendopt())["requestid"] = "frontend.targets";
  api::frontend::SolveResponse result;
  EXPECT_TRUE(client_->gateway().Solve(&context, solve, &result).ok());
  EXPECT_NE(result.result().metadata().at("result.json").find("\"two\""), std::string::npos);
  grpc::ClientContext back_context;
  back_context.AddMetadata("buildkit-controlapi-buildid", "gateway");
  api::frontend::ReturnResponse ignored;
  client_->gateway().Return(&back_context, {}, &ignored);
  control.join();
}

TEST_F(DaemonTest, AClientThatVanishesEndsItsBuild) {
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  api::SolveRequest request = to_tar("gone");
  request.clear_frontend();  // waits for a gateway client that never comes
  grpc::Status solved;
  std::thread control([&] { solved = build(request); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  client_->cut_session();
  control.join();
  EXPECT_FALSE(solved.ok());
}

TEST_F(DaemonTest, HostilePathsEndTheBuildAlone) {
  offer("FROM scratch\nCOPY . /\n", {{"../../escape", "x"}, {"a", "1"}});
  EXPECT_FALSE(build(to_tar("bad")).ok());
  client_->directories["context"] = {{"a", "1"}};
  const auto status = build(to_tar("good"));
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(DaemonTest, HistoryAndDiskUsageKnowWhatWasBuilt) {
  offer("FROM scratch\nCOPY a /\n", {{"a", std::string(100'000, 'x')}});
  ASSERT_TRUE(build(to_tar("build1")).ok());
  api::BuildHistoryEvent event;
  ASSERT_NO_FATAL_FAILURE(read_history(event));
  EXPECT_EQ(event.record().ref(), "build1");
  EXPECT_EQ(event.type(), api::COMPLETE);
  EXPECT_GT(event.record().numtotalsteps(), 1);

  const auto usage = [&] {
    grpc::ClientContext context;
    api::DiskUsageResponse out;
    EXPECT_TRUE(client_->control().DiskUsage(&context, {}, &out).ok());
    int64_t bytes = 0;
    for (const auto& record : out.record()) {
      if (record.recordtype() == "regular") bytes += record.size();
    }
    return bytes;
  };
  EXPECT_GT(usage(), 100'000);
  grpc::ClientContext prune_context;
  api::PruneRequest all;
  all.set_all(true);
  const auto pruned = client_->control().Prune(&prune_context, all);
  api::UsageRecord record;
  int count = 0;
  while (pruned->Read(&record)) ++count;
  EXPECT_TRUE(pruned->Finish().ok());
  EXPECT_GT(count, 0);
  EXPECT_LT(usage(), 100'000);
}

TEST_F(DaemonTest, PruningEverythingAtOnceLeavesNoContent) {
  const Descriptor manifest = [&] {
    const auto state = StateDir::open(daemon_->root());
    const Descriptor config = state->content().put(
        R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})",
        media_type::kOciConfig);
    Manifest document;
    document.media_type = media_type::kOciManifest;
    document.config = config;
    const Descriptor out = state->content().put(document.serialize(), document.media_type);
    state->images().record_resolution("docker.io/library/asked:latest", out);
    state->images().put("docker.io/library/kept:latest", out);
    return out;
  }();
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  auto request = client_->dockerfile_build("build1");
  request.add_exporters()->set_type("oci");
  ASSERT_TRUE(build(request).ok());
  const auto blobs = [&] {
    const UniqueFd dir = sys::open(daemon_->root() + "/blobs/sha256", O_RDONLY | O_DIRECTORY);
    return sys::list_dir(dir.get()).size();
  };
  EXPECT_GT(blobs(), 2u);
  const auto prune_all = [&] {
    grpc::ClientContext context;
    api::PruneRequest all;
    all.set_all(true);
    const auto pruned = client_->control().Prune(&context, all);
    api::UsageRecord record;
    while (pruned->Read(&record)) {
    }
    EXPECT_TRUE(pruned->Finish().ok());
  };
  prune_all();
  EXPECT_EQ(blobs(), 2u) << "those of an image that has a name";
  {
    // Closed before the next: what is young stays while somebody else is at work.
    const auto state = StateDir::open(daemon_->root());
    EXPECT_TRUE(state->content().has(manifest.digest));
    EXPECT_EQ(state->images().resolution("docker.io/library/asked:latest"), std::nullopt);
    ASSERT_TRUE(state->images().remove("docker.io/library/kept:latest"));
  }
  prune_all();
  EXPECT_EQ(blobs(), 0u);
}

TEST_F(DaemonTest, UnsupportedPartsSayTheirNames) {
  offer("FROM scratch\n");
  auto request = to_tar("build1");
  (*request.mutable_frontendattrs())["attest:other"] = "";
  EXPECT_NE(build(request).error_message().find("other"), std::string::npos);
  request = to_tar("build2");
  request.set_frontend("other.v0");
  EXPECT_NE(build(request).error_message().find("other.v0"), std::string::npos);
  request = to_tar("build3");
  request.add_entitlements("security.insecure");
  EXPECT_NE(build(request).error_message().find("security.insecure"), std::string::npos);
}

/// An image of no layers under a name whose registry cannot be reached.
class LocalNamesTest : public DaemonTest {
 protected:
  void put(const std::string& name, NamedBy by) {
    const auto state = StateDir::open(daemon_->root());
    Manifest document;
    document.media_type = media_type::kOciManifest;
    document.config = state->content().put(
        R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})",
        media_type::kOciConfig);
    state->images().put(name, state->content().put(document.serialize(), document.media_type), by);
  }
  grpc::Status build_from(const std::string& name, const std::string& ref) {
    client_->directories["dockerfile"] = {{"Dockerfile", "FROM " + name + "\nCOPY a /\n"}};
    client_->directories["context"] = {{"a", "1"}};
    if (!open_) client_->open_session();
    open_ = true;
    return build(to_tar(ref));
  }
  bool open_ = false;
};

TEST_F(LocalNamesTest, OfOtherClientsMeanNothingInFrom) {
  put("127.0.0.1:1/theirs:latest", NamedBy::client);
  put("127.0.0.1:1/owners:latest", NamedBy::owner);
  const auto theirs = build_from("127.0.0.1:1/theirs", "build1");
  EXPECT_NE(theirs.error_message().find("127.0.0.1:1"), std::string::npos)
      << theirs.error_message();
  EXPECT_FALSE(theirs.ok());
  const auto owners = build_from("127.0.0.1:1/owners", "build2");
  EXPECT_TRUE(owners.ok()) << owners.error_message();
}

TEST_F(LocalNamesTest, CountWhereTheDaemonWasToldSo) {
  daemon_.reset();
  daemon_.emplace(kDaemonProgram, dir_.path(), std::vector<std::string>{"--local-images"});
  client_.emplace(daemon_->address());
  put("127.0.0.1:1/theirs:latest", NamedBy::client);
  const auto theirs = build_from("127.0.0.1:1/theirs", "build1");
  EXPECT_TRUE(theirs.ok()) << theirs.error_message();
}

TEST_F(LocalNamesTest, AreRememberedAsAClientsWhenAClientGaveThem) {
  offer("FROM scratch\nCOPY a /\n", {{"a", "1"}});
  auto request = client_->dockerfile_build("build1");
  auto* exporter = request.add_exporters();
  exporter->set_type("image");
  (*exporter->mutable_attrs())["name"] = "127.0.0.1:1/mine";
  ASSERT_TRUE(build(request).ok());
  const auto state = StateDir::open(daemon_->root());
  EXPECT_TRUE(state->images().find("127.0.0.1:1/mine:latest")->of_client);
}

}  // namespace
}  // namespace lade::test
