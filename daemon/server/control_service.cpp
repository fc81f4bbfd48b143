#include "daemon/server/control_service.hpp"

#include <thread>

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/job/grpc_status.hpp"
#include "daemon/server/usage.hpp"
#include "daemon/session/session_connection.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

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
    const auto connection = Http2Connection::make([stream](std::string_view bytes) {
      api::BytesMessage message;
      message.set_data(bytes.data(), bytes.size());
      return stream->Write(message);
    });
    const auto session = std::make_shared<lade::Session>(std::move(hello), connection,
                                                         [context] { context->TryCancel(); });
    shared_.sessions.add(id, session);
    api::BytesMessage message;
    while (stream->Read(&message)) {
      if (connection->receive(message.data())) continue;
      // No HTTP/2: nor need it read what the connection's thread writes.
      context->TryCancel();
      break;
    }
    session->closed();
    shared_.sessions.remove(id);
    session->forget_stream();
    connection->close();
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
