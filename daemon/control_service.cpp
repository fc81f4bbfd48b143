#include "daemon/control_service.hpp"

#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "daemon/grpc_status.hpp"
#include "daemon/session_connection.hpp"
#include "daemon/usage.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

constexpr size_t kPiece = 32u << 10;
constexpr int kMaxSessionMessage = 16 << 20;  // as BuildKit's own limit
constexpr size_t kMaxSessionId = 256;
constexpr auto kStatusPatience = std::chrono::seconds(10);

using BytesStream = grpc::ServerReaderWriter<api::BytesMessage, api::BytesMessage>;

SessionHello read_hello(const grpc::ServerContext& context) {
  SessionHello out;
  const auto text = [](const grpc::string_ref& value) {
    return std::string(value.data(), value.size());
  };
  for (const auto& [key, value] : context.client_metadata()) {
    if (key == "x-docker-expose-session-uuid") out.id = text(value);
    if (key == "x-docker-expose-session-sharedkey") out.shared_key = text(value);
    if (key == "x-docker-expose-session-grpc-method") out.methods.insert(to_lower(text(value)));
  }
  if (out.id.empty() || out.id.size() > kMaxSessionId) throw Error("the session has no usable ID");
  return out;
}

/// Carries bytes between a session's stream and the socket that the gRPC client speaks HTTP/2 on.
class SessionPump {
 public:
  SessionPump(BytesStream& stream, int socket)
      : stream_(stream), socket_(socket), to_client_([this] { send(); }) {}

  /// Until the client ends its side, or the socket is shut down.
  void receive() {
    api::BytesMessage message;
    try {
      while (stream_.Read(&message)) sys::write_all(socket_, message.data());
    } catch (const Error&) {
      // The other side of the socket has gone.
    }
    ::shutdown(socket_, SHUT_RDWR);
    to_client_.join();
  }

 private:
  void send() {
    std::string buffer(kPiece, '\0');
    api::BytesMessage message;
    for (;;) {
      const ssize_t size = ::read(socket_, buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return;
      message.set_data(buffer.data(), static_cast<size_t>(size));
      if (!stream_.Write(message)) return;
    }
  }

  BytesStream& stream_;
  int socket_;
  std::thread to_client_;
};

}  // namespace

grpc::Status ControlService::Info(grpc::ServerContext*, const api::InfoRequest*,
                                  api::InfoResponse* response) {
  put_version(*response->mutable_buildkitversion());
  return grpc::Status::OK;
}

grpc::Status ControlService::ListWorkers(grpc::ServerContext*,
                                         const api::ListWorkersRequest* request,
                                         api::ListWorkersResponse* response) {
  return guarded([&] {
    if (request->filter_size() > 0) throw Error("filters of workers are not supported");
    put_worker(worker_, *response->add_record());
  });
}

grpc::Status ControlService::Solve(grpc::ServerContext* context, const api::SolveRequest* request,
                                   api::SolveResponse* response) {
  return guarded([&] {
    *response = builds_.solve(*request, [&] { return stopping_ || context->IsCancelled(); });
  });
}

grpc::Status ControlService::Status(grpc::ServerContext* context, const api::StatusRequest* request,
                                    grpc::ServerWriter<api::StatusResponse>* writer) {
  return guarded([&] {
    const auto gone = [&] { return context->IsCancelled(); };
    const std::string& ref = request->ref();
    // A client asks for the progress of a build that it starts at the same time.
    const auto deadline = std::chrono::steady_clock::now() + kStatusPatience;
    std::shared_ptr<Journal> journal;
    std::string ended;
    for (;;) {
      journal = history_.running_journal(ref);
      if (!journal) ended = history_.ended_journal(ref);
      if (journal || !ended.empty()) break;
      if (gone() || stopping_) return;
      if (std::chrono::steady_clock::now() > deadline) {
        throw Error(fmt::format("no such job {}", ref), ErrorKind::not_found);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    uint64_t offset = 0;
    api::StatusResponse message;
    for (;;) {
      const std::string bytes = journal ? journal->read(offset, gone) : read_journal(ended, offset);
      if (bytes.empty()) return;
      if (!message.ParseFromString(bytes)) {
        throw Error("the journal of the build is damaged", ErrorKind::corrupt);
      }
      if (!writer->Write(message)) return;
    }
  });
}

grpc::Status ControlService::Session(grpc::ServerContext* context, BytesStream* stream) {
  return guarded([&] {
    SessionHello hello = read_hello(*context);
    const std::string id = hello.id;
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
      throw_errno("could not make a socket pair");
    }
    const UniqueFd ours(sockets[0]);
    // gRPC's side, which it closes.
    if (::fcntl(sockets[1], F_SETFL, O_NONBLOCK) != 0) throw_errno("could not set up a socket");
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxSessionMessage);
    arguments.SetMaxSendMessageSize(kMaxSessionMessage);
    auto channel = grpc::CreateCustomInsecureChannelFromFd("session", sockets[1], arguments);
    const auto session = std::make_shared<lade::Session>(std::move(hello), std::move(channel),
                                                         [fd = ours.get(), context] {
                                                           ::shutdown(fd, SHUT_RDWR);
                                                           context->TryCancel();
                                                         });
    shared_.sessions.add(id, session);
    SessionPump(*stream, ours.get()).receive();
    session->closed();
    shared_.sessions.remove(id);
    session->forget_stream();
    builds_.forget_old_results();
  });
}

grpc::Status ControlService::DiskUsage(grpc::ServerContext*, const api::DiskUsageRequest* request,
                                       api::DiskUsageResponse* response) {
  return guarded([&] {
    builds_.forget_old_results();
    disk_usage(shared_.root, *request, *response);
  });
}

grpc::Status ControlService::Prune(grpc::ServerContext*, const api::PruneRequest* request,
                                   grpc::ServerWriter<api::UsageRecord>* writer) {
  return guarded([&] {
    builds_.forget_old_results();
    prune_usage(shared_.root, *request,
                [&](const api::UsageRecord& record) { writer->Write(record); });
  });
}

grpc::Status ControlService::ListenBuildHistory(
    grpc::ServerContext* context, const api::BuildHistoryRequest* request,
    grpc::ServerWriter<api::BuildHistoryEvent>* writer) {
  return guarded([&] {
    if (request->filter_size() > 0) throw Error("filters of the build history are not supported");
    history_.listen(
        *request, [&](const api::BuildHistoryEvent& event) { return writer->Write(event); },
        [&] { return stopping_ || context->IsCancelled(); });
  });
}

grpc::Status ControlService::UpdateBuildHistory(grpc::ServerContext*,
                                                const api::UpdateBuildHistoryRequest* request,
                                                api::UpdateBuildHistoryResponse*) {
  return guarded([&] {
    if (request->finalize()) throw Error("finalize is not supported: builds have no traces");
    history_.update(request->ref(), request->pinned(), request->delete_());
  });
}

}  // namespace lade
