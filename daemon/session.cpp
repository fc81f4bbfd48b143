// What a session offers, as calls.
#include "daemon/session.hpp"

#include <chrono>
#include <condition_variable>
#include <thread>

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "daemon/proto/filesync.grpc.pb.h"
#include "daemon/proto/policysession.grpc.pb.h"
#include "daemon/proto/secrets.grpc.pb.h"
#include "daemon/proto/sshforward.grpc.pb.h"
#include "daemon/proto/upload.grpc.pb.h"
#include "daemon/session_connection.hpp"

namespace lade {
namespace {

using fsutil::types::Packet;

constexpr auto kSessionPatience = std::chrono::seconds(10);
constexpr auto kLookAround = std::chrono::milliseconds(50);
constexpr size_t kPiece = 32u << 10;
constexpr size_t kMaxPiece = 3u << 20;  // below gRPC's limit of 4 MiB for a message

std::string query_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= 'A' && byte <= 'Z') || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

/// Values of one key; if one of them is not ASCII all are escaped, and another key says so.
void add_values(grpc::ClientContext& context, const std::string& key,
                const std::vector<std::string>& values) {
  bool escape = false;
  for (const auto& value : values) {
    for (const char c : value) escape = escape || static_cast<unsigned char>(c) > 0x7e || c < ' ';
  }
  for (const auto& value : values) {
    context.AddMetadata(key, escape ? query_escape(value) : value);
  }
  if (escape) context.AddMetadata(key + "-encoded", "1");
}

void add_request(grpc::ClientContext& context, const DirectoryRequest& request) {
  add_values(context, "include-patterns", request.include);
  add_values(context, "exclude-patterns", request.exclude);
  add_values(context, "followpaths", request.follow);
  add_values(context, "dir-name", {request.name});
}

template <class Stream>
class GrpcPackets : public PacketStream {
 public:
  explicit GrpcPackets(Stream& stream) : stream_(stream) {}
  bool read(Packet& packet) override { return stream_.Read(&packet); }
  bool write(const Packet& packet) override { return stream_.Write(packet); }

 private:
  Stream& stream_;
};

using BytesStream =
    grpc::ClientReaderWriter<moby::filesync::v1::BytesMessage, moby::filesync::v1::BytesMessage>;

class FileSink : public ByteSink {
 public:
  FileSink(std::shared_ptr<Session> session, std::shared_ptr<CallGroup> group, int exporter,
           const std::map<std::string, std::string>& metadata)
      : session_(std::move(session)), call_(std::move(group)) {
    call_.context.AddMetadata("buildkit-attachable-exporter-id", fmt::format("{}", exporter));
    for (const auto& [key, value] : metadata) {
      call_.context.AddMetadata("exporter-md-" + to_lower(key), value);
    }
    stub_ = moby::filesync::v1::FileSend::NewStub(session_->channel());
    stream_ = stub_->DiffCopy(&call_.context);
  }
  ~FileSink() override {
    if (finished_) return;
    call_.context.TryCancel();
    stream_->Finish();
  }

  void write(std::string_view bytes) override {
    moby::filesync::v1::BytesMessage message;
    while (!bytes.empty()) {
      const auto piece = bytes.substr(0, kPiece);
      message.set_data(std::string(piece));
      if (!stream_->Write(message)) fail();
      bytes.remove_prefix(piece.size());
    }
  }

  void finish() override {
    stream_->WritesDone();
    moby::filesync::v1::BytesMessage message;
    while (stream_->Read(&message)) {
    }
    finished_ = true;
    call_.check(stream_->Finish(), "sending the result to the client");
  }

 private:
  [[noreturn]] void fail() {
    finished_ = true;
    call_.check(stream_->Finish(), "sending the result to the client");
    throw Error("the client took no more of the result", ErrorKind::unavailable);
  }

  std::shared_ptr<Session> session_;
  Call call_;
  std::unique_ptr<moby::filesync::v1::FileSend::Stub> stub_;
  std::unique_ptr<BytesStream> stream_;
  bool finished_ = false;
};

class Calls : public SessionCalls {
 public:
  explicit Calls(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  const std::string& id() const override { return session_->hello().id; }
  const std::string& shared_key() const override { return session_->hello().shared_key; }
  bool open() const override { return session_->open() && !group_->canceled(); }
  void cancel() override { group_->cancel(); }

  bool supports(std::string_view method) const override {
    return session_->hello().methods.contains(to_lower(method));
  }

  uint64_t receive_directory(const DirectoryRequest& request, SyncedDirectory& into,
                             const SyncProgress& progress) override {
    uint64_t bytes = 0;
    with_directory(request,
                   [&](PacketStream& packets) { bytes = into.receive(packets, progress); });
    return bytes;
  }

  std::map<std::string, std::string> read_files(const DirectoryRequest& request,
                                                const std::vector<std::string>& paths,
                                                uint64_t limit) override {
    std::map<std::string, std::string> out;
    with_directory(request,
                   [&](PacketStream& packets) { out = receive_files(packets, paths, limit); });
    return out;
  }

  moby::buildkit::v1::sourcepolicy::policysession::CheckPolicyResponse check_policy(
      const moby::buildkit::v1::sourcepolicy::policysession::CheckPolicyRequest& request) override {
    namespace policy = moby::buildkit::v1::sourcepolicy::policysession;
    Call call(group_);
    policy::CheckPolicyResponse response;
    const auto stub = policy::PolicyVerifier::NewStub(session_->channel());
    call.check(stub->CheckPolicy(&call.context, request, &response),
               "asking the client about its source policy");
    return response;
  }

  std::optional<std::string> secret(const std::string& id) override {
    if (!supports("/moby.buildkit.secrets.v1.Secrets/GetSecret")) return std::nullopt;
    Call call(group_);
    moby::buildkit::secrets::v1::GetSecretRequest request;
    request.set_id(id);
    moby::buildkit::secrets::v1::GetSecretResponse response;
    const auto stub = moby::buildkit::secrets::v1::Secrets::NewStub(session_->channel());
    const auto status = stub->GetSecret(&call.context, request, &response);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND ||
        status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return std::nullopt;
    }
    call.check(status, "asking the client for the secret " + lade::quoted(id));
    return std::move(*response.mutable_data());
  }

  Credentials credentials(const std::string& host) override {
    Credentials out;
    if (!supports("/moby.filesync.v1.Auth/Credentials")) return out;
    Call call(group_);
    moby::filesync::v1::CredentialsRequest request;
    request.set_host(host);
    moby::filesync::v1::CredentialsResponse response;
    const auto stub = moby::filesync::v1::Auth::NewStub(session_->channel());
    const auto status = stub->Credentials(&call.context, request, &response);
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return out;
    call.check(status, "asking the client for credentials of " + host);
    // Without a name it is an identity token.
    if (response.username().empty()) {
      out.identity_token = response.secret();
    } else {
      out.user = response.username();
      out.password = response.secret();
    }
    return out;
  }

  std::unique_ptr<ByteSink> send_file(int exporter,
                                      const std::map<std::string, std::string>& metadata) override {
    check_exports();
    return std::make_unique<FileSink>(session_, group_, exporter, metadata);
  }

  void send_tree(int exporter, const TreeToSend& tree, const SyncProgress& progress) override {
    check_exports();
    Call call(group_);
    call.context.AddMetadata("buildkit-attachable-exporter-id", fmt::format("{}", exporter));
    call.context.AddMetadata("buildkit-exporter-multi-platform", "1");
    // A method that speaks packets when the output is a directory, and bytes otherwise: no stub can
    // be generated for it.
    const grpc::internal::RpcMethod method("/moby.filesync.v1.FileSend/DiffCopy",
                                           grpc::internal::RpcMethod::BIDI_STREAMING,
                                           session_->channel());
    const std::unique_ptr<grpc::ClientReaderWriter<Packet, Packet>> stream(
        grpc::internal::ClientReaderWriterFactory<Packet, Packet>::Create(session_->channel().get(),
                                                                          method, &call.context));
    GrpcPackets packets(*stream);
    std::optional<Error> failure;
    try {
      lade::send_tree(packets, tree, progress);
      stream->WritesDone();
      Packet rest;
      while (packets.read(rest)) {
      }
    } catch (const Error& error) {
      failure = error;
      // Of a call that the client has ended its own last words are wanted.
      if (error.kind() != ErrorKind::unavailable) call.context.TryCancel();
    }
    const auto status = stream->Finish();
    if (failure) throw_better(call, status, *failure);
    call.check(status, "sending the result to the client");
  }

  bool has_agent(const std::string& id) override {
    if (!supports("/moby.sshforward.v1.SSH/CheckAgent")) return false;
    Call call(group_);
    moby::sshforward::v1::CheckAgentRequest request;
    request.set_id(id);
    moby::sshforward::v1::CheckAgentResponse response;
    const auto stub = moby::sshforward::v1::SSH::NewStub(session_->channel());
    return stub->CheckAgent(&call.context, request, &response).ok();
  }

  void forward_agent(const std::string& id, int socket) override {
    using moby::sshforward::v1::BytesMessage;
    Call call(group_);
    call.context.AddMetadata("buildkit.ssh.id", id);
    const auto stub = moby::sshforward::v1::SSH::NewStub(session_->channel());
    const auto stream = stub->ForwardAgent(&call.context);
    std::thread to_client([&] {
      std::string buffer(kPiece, '\0');
      BytesMessage message;
      for (;;) {
        const ssize_t size = ::read(socket, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        message.set_data(buffer.substr(0, static_cast<size_t>(size)));
        if (!stream->Write(message)) break;
      }
      stream->WritesDone();
    });
    try {
      BytesMessage message;
      while (stream->Read(&message)) sys::write_all(socket, message.data());
    } catch (const Error&) {
      call.context.TryCancel();
    }
    ::shutdown(socket, SHUT_RDWR);
    to_client.join();
    stream->Finish();
  }

  std::shared_ptr<CacheStorage> content(const std::string& store,
                                        std::optional<Descriptor> manifest) override {
    return session_content(session_, group_, store, std::move(manifest));
  }

  std::unique_ptr<ByteSource> upload(const std::string& path) override {
    using Message = moby::upload::v1::BytesMessage;
    const auto stub = moby::upload::v1::Upload::NewStub(session_->channel());
    return std::make_unique<MessageSource<Message, grpc::ClientReaderWriter<Message, Message>>>(
        session_, group_, "receiving what the client uploads", [&](grpc::ClientContext& context) {
          context.AddMetadata("urlpath", path);
          return stub->Pull(&context);
        });
  }

 private:
  template <class Use>
  void with_directory(const DirectoryRequest& request, Use use) {
    if (!supports("/moby.filesync.v1.FileSync/DiffCopy")) {
      throw Error("the client offers no local sources");
    }
    Call call(group_);
    add_request(call.context, request);
    const auto stub = moby::filesync::v1::FileSync::NewStub(session_->channel());
    const auto stream = stub->DiffCopy(&call.context);
    GrpcPackets packets(*stream);
    std::optional<Error> failure;
    try {
      use(packets);
      stream->WritesDone();
    } catch (const Error& error) {
      failure = error;
      if (error.kind() != ErrorKind::unavailable) call.context.TryCancel();
    }
    const auto status = stream->Finish();
    if (failure) throw_better(call, status, *failure);
    call.check(status, "receiving " + lade::quoted(request.name));
  }

  /// What the client said when it hung up, if that is all we know.
  [[noreturn]] static void throw_better(const Call& call, const grpc::Status& status,
                                        const Error& failure) {
    if (failure.kind() == ErrorKind::unavailable &&
        status.error_code() != grpc::StatusCode::CANCELLED) {
      call.check(status, "the client");
    }
    throw failure;
  }

  void check_exports() const {
    if (!supports("/moby.filesync.v1.FileSend/DiffCopy")) {
      throw Error("the client takes no files: method FileSend is not supported by it");
    }
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<CallGroup> group_ = std::make_shared<CallGroup>();
};

}  // namespace

void Session::hang_up() {
  const std::lock_guard lock(mutex_);
  if (hang_up_) hang_up_();
}

void Session::forget_stream() {
  const std::lock_guard lock(mutex_);
  hang_up_ = nullptr;
}

void CallGroup::enter(grpc::ClientContext& context) {
  const std::lock_guard lock(mutex_);
  contexts_.insert(&context);
  if (canceled_) context.TryCancel();
}

void CallGroup::leave(grpc::ClientContext& context) {
  const std::lock_guard lock(mutex_);
  contexts_.erase(&context);
}

void CallGroup::cancel() {
  const std::lock_guard lock(mutex_);
  canceled_ = true;
  for (auto* context : contexts_) context->TryCancel();
}

void Call::check(const grpc::Status& status, std::string_view what) const {
  if (status.ok()) return;
  if (group_->canceled()) throw Error("context canceled", ErrorKind::canceled);
  ErrorKind kind = ErrorKind::general;
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) kind = ErrorKind::not_found;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::CANCELLED) {
    kind = ErrorKind::unavailable;
  }
  throw Error(fmt::format("{}: {}", what, status.error_message()), kind);
}

std::shared_ptr<SessionCalls> make_session_calls(std::shared_ptr<Session> session) {
  return std::make_shared<Calls>(std::move(session));
}

void Sessions::add(const std::string& id, std::shared_ptr<Session> session) {
  {
    const std::lock_guard lock(mutex_);
    if (!sessions_.emplace(id, std::move(session)).second) {
      throw Error(fmt::format("session {} already exists", id));
    }
  }
  came_.notify_all();
}

void Sessions::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

std::shared_ptr<SessionCalls> Sessions::find(const std::string& id,
                                             const std::function<bool()>& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kSessionPatience;
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = sessions_.find(id);
    if (found != sessions_.end()) return make_session_calls(found->second);
    if (stop() || std::chrono::steady_clock::now() > deadline) return nullptr;
    came_.wait_for(lock, kLookAround);
  }
}

void Sessions::close_all() {
  std::vector<std::shared_ptr<Session>> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) open.push_back(session);
  }
  for (const auto& session : open) session->hang_up();
}

}  // namespace lade
