// Http2Connection against gRPC's own server.
#include "daemon/session/http2_connection.hpp"

#include <atomic>
#include <future>
#include <thread>

#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "daemon/proto/filesync.grpc.pb.h"
#include "daemon/proto/secrets.grpc.pb.h"
#include "tests/support/sockets.hpp"

namespace lade {
namespace {

using moby::buildkit::secrets::v1::GetSecretRequest;
using moby::buildkit::secrets::v1::GetSecretResponse;
using Bytes = moby::filesync::v1::BytesMessage;

constexpr const char* kSecret = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
constexpr const char* kFiles = "/moby.filesync.v1.FileSend/DiffCopy";

class Secrets final : public moby::buildkit::secrets::v1::Secrets::Service {
 public:
  grpc::Status GetSecret(grpc::ServerContext* context, const GetSecretRequest* request,
                         GetSecretResponse* response) override {
    if (request->id() == "none") return {grpc::StatusCode::NOT_FOUND, "none such, 100% sure: é\n"};
    if (request->id() == "huge") {
      response->set_data(std::string(17u << 20, 'x'));
      return grpc::Status::OK;
    }
    const auto extra = context->client_metadata().find("extra");
    const bool given = extra != context->client_metadata().end();
    response->set_data("of " + request->id() +
                       (given ? std::string(extra->second.data(), extra->second.size()) : ""));
    return grpc::Status::OK;
  }
};

/// By the first message: says back what it hears, or sends without listening until it is canceled.
class Files final : public moby::filesync::v1::FileSend::Service {
 public:
  grpc::Status DiffCopy(grpc::ServerContext* context,
                        grpc::ServerReaderWriter<Bytes, Bytes>* stream) override {
    Bytes message;
    if (!stream->Read(&message)) return grpc::Status::OK;
    if (message.data() == "flood") {
      message.set_data(std::string(64u << 10, 'f'));
      while (!context->IsCancelled() && stream->Write(message)) {
      }
      canceled.set_value();
      return grpc::Status::CANCELLED;
    }
    if (message.data() == "listen no more") return {grpc::StatusCode::ALREADY_EXISTS, "enough"};
    do {
      if (!stream->Write(message)) break;
    } while (stream->Read(&message));
    return grpc::Status::OK;
  }

  std::promise<void> canceled;
};

class Http2ConnectionTest : public testing::Test {
 protected:
  // Never undone: when its last user goes, gRPC 1.51 waits for a poller of its own for up to ten
  // seconds.
  static void SetUpTestSuite() { grpc_init(); }

  void SetUp() override {
    int sockets[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    ours_ = UniqueFd(sockets[0]);
    ::fcntl(sockets[1], F_SETFL, O_NONBLOCK);
    grpc::ServerBuilder builder;
    builder.SetMaxSendMessageSize(-1);
    builder.RegisterService(&secrets_);
    builder.RegisterService(&files_);
    server_ = builder.BuildAndStart();
    grpc::AddInsecureChannelFromFd(server_.get(), sockets[1]);
    connection_ = Http2Connection::make(
        [fd = ours_.get()](std::string_view bytes) { return test::send_all(fd, bytes); });
    reader_ = std::thread([this] {
      char buffer[16384];
      for (;;) {
        const ssize_t size = ::read(ours_.get(), buffer, sizeof buffer);
        if (size <= 0 || !connection_->receive({buffer, static_cast<size_t>(size)})) return;
      }
    });
  }

  void TearDown() override {
    ::shutdown(ours_.get(), SHUT_RDWR);
    reader_.join();
    connection_->close();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  std::pair<CallStatus, std::string> secret(const std::string& id, CallMetadata metadata = {}) {
    GetSecretRequest request;
    request.set_id(id);
    const auto call = connection_->call(kSecret, metadata);
    call->write(request.SerializeAsString());
    call->writes_done();
    std::string bytes;
    GetSecretResponse response;
    if (call->read(bytes)) response.ParseFromString(bytes);
    return {call->finish(), response.data()};
  }

  static std::string message(const std::string& data) {
    Bytes out;
    out.set_data(data);
    return out.SerializeAsString();
  }

  Secrets secrets_;
  Files files_;
  UniqueFd ours_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<Http2Connection> connection_;
  std::thread reader_;
};

TEST_F(Http2ConnectionTest, ACallHasAnAnswerAndAStatus) {
  const auto [status, data] = secret("a");
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(data, "of a");
}

TEST_F(Http2ConnectionTest, MetadataGoesWithTheCall) {
  EXPECT_EQ(secret("a", {{"extra", " and more"}}).second, "of a and more");
}

TEST_F(Http2ConnectionTest, FailuresSayTheirCodeAndTheServersWords) {
  const auto [status, data] = secret("none");
  EXPECT_EQ(status.code, CallCode::not_found);
  EXPECT_EQ(status.message, "none such, 100% sure: é\n");
  EXPECT_EQ(data, "");
  const auto call = connection_->call("/no.such.Service/Method", {});
  call->writes_done();
  EXPECT_EQ(call->finish().code, CallCode::unimplemented);
}

TEST_F(Http2ConnectionTest, MessagesPassInOrderBeyondAllWindows) {
  const auto call = connection_->call(kFiles, {});
  constexpr int kMessages = 200;
  std::thread writer([&] {
    for (int i = 0; i < kMessages; ++i) {
      // Of all sizes: empty ones, ones of several frames.
      EXPECT_TRUE(call->write(message(std::string(static_cast<size_t>(i) * 1000, 'a' + i % 26))));
    }
    call->writes_done();
  });
  std::string bytes;
  int count = 0;
  for (; call->read(bytes); ++count) {
    Bytes got;
    ASSERT_TRUE(got.ParseFromString(bytes));
    EXPECT_EQ(got.data(), std::string(static_cast<size_t>(count) * 1000, 'a' + count % 26));
  }
  writer.join();
  EXPECT_EQ(count, kMessages);
  EXPECT_TRUE(call->finish().ok());
}

TEST_F(Http2ConnectionTest, ManySmallMessagesAllArrive) {
  const auto call = connection_->call(kFiles, {});
  std::thread writer([&] {
    for (int i = 0; i < 5000; ++i) call->write(message(std::to_string(i)));
    call->writes_done();
  });
  std::string bytes;
  int count = 0;
  for (; call->read(bytes); ++count) {
    if (bytes != message(std::to_string(count))) break;
  }
  writer.join();
  EXPECT_EQ(count, 5000);
}

TEST_F(Http2ConnectionTest, WhoIsNotReadFromHoldsUpNobody) {
  const auto flood = connection_->call(kFiles, {});
  ASSERT_TRUE(flood->write(message("flood")));
  std::string bytes;
  ASSERT_TRUE(flood->read(bytes));
  // It is full after two megabytes. Others have their answers, one after the other.
  for (int i = 0; i < 100; ++i) ASSERT_EQ(secret("a").second, "of a");
  flood->cancel();
  EXPECT_EQ(files_.canceled.get_future().wait_for(std::chrono::seconds(60)),
            std::future_status::ready);
}

TEST_F(Http2ConnectionTest, CancelEndsWhoWaitsForAMessage) {
  const auto call = connection_->call(kFiles, {});
  ASSERT_TRUE(call->write(message("hello")));
  std::string bytes;
  ASSERT_TRUE(call->read(bytes));
  auto waiting = std::async(std::launch::async, [&] { return call->read(bytes); });
  call->cancel();
  EXPECT_FALSE(waiting.get());
  EXPECT_EQ(call->finish().code, CallCode::canceled);
  EXPECT_FALSE(call->write(message("more")));
}

TEST_F(Http2ConnectionTest, AServerThatHasHeardEnoughEndsWhoWrites) {
  const auto call = connection_->call(kFiles, {});
  ASSERT_TRUE(call->write(message("listen no more")));
  const std::string much = message(std::string(1u << 20, 'x'));
  while (call->write(much)) {
  }
  const auto status = call->finish();
  EXPECT_EQ(status.code, CallCode::already_exists);
  EXPECT_EQ(status.message, "enough");
}

TEST_F(Http2ConnectionTest, MessagesThatAreTooLargeEndTheirCallAlone) {
  EXPECT_EQ(secret("huge").first.code, CallCode::resource_exhausted);
  EXPECT_EQ(secret("a").second, "of a");
}

TEST_F(Http2ConnectionTest, TheEndOfTheConnectionEndsItsCalls) {
  const auto call = connection_->call(kFiles, {});
  ASSERT_TRUE(call->write(message("hello")));
  std::string bytes;
  ASSERT_TRUE(call->read(bytes));
  auto waiting = std::async(std::launch::async, [&] { return call->read(bytes); });
  connection_->close();
  EXPECT_FALSE(waiting.get());
  EXPECT_EQ(call->finish().code, CallCode::unavailable);
  EXPECT_EQ(secret("a").first.code, CallCode::unavailable);
}

TEST(Http2Connection, WhatIsNoHttp2IsRefused) {
  const auto connection = Http2Connection::make([](std::string_view) { return true; });
  const auto call = connection->call(kFiles, {});
  connection->receive("HTTP/1.1 400 Bad Request\r\n\r\n and so on and so on");
  const auto status = call->finish();
  EXPECT_EQ(status.code, CallCode::unavailable) << status.message;
  // It ends when it has said so to the other side.
  while (connection->receive("more")) std::this_thread::yield();
}

TEST(Http2Connection, WhoTakesNoBytesEndsTheCalls) {
  const auto connection = Http2Connection::make([](std::string_view) { return false; });
  EXPECT_EQ(connection->call(kFiles, {})->finish().code, CallCode::unavailable);
}

}  // namespace
}  // namespace lade
