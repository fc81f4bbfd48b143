// What a session offers, as calls.
#include "daemon/session/session_calls.hpp"

#include <chrono>
#include <condition_variable>
#include <thread>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "daemon/proto/filesync.pb.h"
#include "daemon/proto/fsutil.pb.h"
#include "daemon/proto/policysession.pb.h"
#include "daemon/proto/secrets.pb.h"
#include "daemon/proto/sshforward.pb.h"
#include "daemon/proto/upload.pb.h"
#include "daemon/session/session_connection.hpp"

namespace lade {
namespace {

using fsutil::types::Packet;

constexpr size_t kMessagePiece = 32u << 10;
constexpr const char* kReceiveFiles = "/moby.filesync.v1.FileSync/DiffCopy";
constexpr const char* kSendFiles = "/moby.filesync.v1.FileSend/DiffCopy";
constexpr const char* kCredentials = "/moby.filesync.v1.Auth/Credentials";
constexpr const char* kSecret = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
constexpr const char* kCheckAgent = "/moby.sshforward.v1.SSH/CheckAgent";
constexpr const char* kForwardAgent = "/moby.sshforward.v1.SSH/ForwardAgent";
constexpr const char* kPull = "/moby.upload.v1.Upload/Pull";
constexpr const char* kCheckPolicy =
    "/moby.buildkit.v1.sourcepolicy.policysession.PolicyVerifier/CheckPolicy";

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
void add_values(CallMetadata& metadata, const std::string& key,
                const std::vector<std::string>& values) {
  bool escape = false;
  for (const auto& value : values) {
    for (const char c : value) escape = escape || static_cast<unsigned char>(c) > 0x7e || c < ' ';
  }
  for (const auto& value : values) {
    metadata.emplace_back(key, escape ? query_escape(value) : value);
  }
  if (escape) metadata.emplace_back(key + "-encoded", "1");
}

CallMetadata metadata_of(const DirectoryRequest& request) {
  CallMetadata out;
  add_values(out, "include-patterns", request.include);
  add_values(out, "exclude-patterns", request.exclude);
  add_values(out, "followpaths", request.follow);
  add_values(out, "dir-name", {request.name});
  return out;
}

class CallPackets : public PacketStream {
 public:
  explicit CallPackets(Call& call) : call_(call) {}
  bool read(Packet& packet) override { return call_.read(packet); }
  bool write(const Packet& packet) override { return call_.write(packet); }

 private:
  Call& call_;
};

/// Of a call that the client has ended its own last words are wanted.
template <class Use>
void converse(Call& call, const std::string& what, Use use) {
  CallPackets packets(call);
  try {
    use(packets);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::unavailable) {
      const auto status = call.finish();
      if (status.code != CallCode::canceled) call.check(status, "the client");
    }
    throw;
  }
  call.check(call.finish(), what);
}

class Directory : public DirectoryCall {
 public:
  Directory(std::shared_ptr<Session> session, std::shared_ptr<CallGroup> group,
            const DirectoryRequest& request)
      : session_(std::move(session)),
        call_(*session_, std::move(group), kReceiveFiles, metadata_of(request)),
        what_("receiving " + lade::quoted(request.name)) {}

  uint64_t receive(SyncedDirectory& into, const SyncProgress& progress) override {
    uint64_t bytes = 0;
    use([&](PacketStream& packets) { bytes = into.receive(packets, progress); });
    return bytes;
  }

  template <class Use>
  void use(Use body) {
    converse(call_, what_, [&](PacketStream& packets) {
      body(packets);
      call_.writes_done();
    });
  }

 private:
  std::shared_ptr<Session> session_;
  Call call_;
  std::string what_;
};

class FileSink : public ByteSink {
 public:
  FileSink(std::shared_ptr<Session> session, std::shared_ptr<CallGroup> group,
           const CallMetadata& metadata)
      : session_(std::move(session)), call_(*session_, std::move(group), kSendFiles, metadata) {}

  void write(std::string_view bytes) override {
    moby::filesync::v1::BytesMessage message;
    while (!bytes.empty()) {
      const auto piece = bytes.substr(0, kMessagePiece);
      message.set_data(std::string(piece));
      if (!call_.write(message)) fail();
      bytes.remove_prefix(piece.size());
    }
  }

  void finish() override {
    call_.writes_done();
    call_.check(call_.finish(), "sending the result to the client");
  }

 private:
  [[noreturn]] void fail() {
    call_.check(call_.finish(), "sending the result to the client");
    throw Error("the client took no more of the result", ErrorKind::unavailable);
  }

  std::shared_ptr<Session> session_;
  Call call_;
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

  std::unique_ptr<DirectoryCall> open_directory(const DirectoryRequest& request) override {
    return list_directory(request);
  }

  std::map<std::string, std::string> read_files(const DirectoryRequest& request,
                                                const std::vector<std::string>& paths,
                                                uint64_t limit) override {
    std::map<std::string, std::string> out;
    list_directory(request)->use(
        [&](PacketStream& packets) { out = receive_files(packets, paths, limit); });
    return out;
  }

  moby::buildkit::v1::sourcepolicy::policysession::CheckPolicyResponse check_policy(
      const moby::buildkit::v1::sourcepolicy::policysession::CheckPolicyRequest& request) override {
    namespace policy = moby::buildkit::v1::sourcepolicy::policysession;
    Call call(*session_, group_, kCheckPolicy);
    policy::CheckPolicyResponse response;
    call.check(call.answer(request, response), "asking the client about its source policy");
    return response;
  }

  std::optional<std::string> secret(const std::string& id) override {
    if (!supports(kSecret)) return std::nullopt;
    Call call(*session_, group_, kSecret);
    moby::buildkit::secrets::v1::GetSecretRequest request;
    request.set_id(id);
    moby::buildkit::secrets::v1::GetSecretResponse response;
    const auto status = call.answer(request, response);
    if (status.code == CallCode::not_found || status.code == CallCode::unimplemented) {
      return std::nullopt;
    }
    call.check(status, "asking the client for the secret " + lade::quoted(id));
    return std::move(*response.mutable_data());
  }

  Credentials credentials(const std::string& host) override {
    Credentials out;
    if (!supports(kCredentials)) return out;
    Call call(*session_, group_, kCredentials);
    moby::filesync::v1::CredentialsRequest request;
    request.set_host(host);
    moby::filesync::v1::CredentialsResponse response;
    const auto status = call.answer(request, response);
    if (status.code == CallCode::unimplemented) return out;
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
    CallMetadata headers = {{"buildkit-attachable-exporter-id", fmt::format("{}", exporter)}};
    for (const auto& [key, value] : metadata) {
      headers.emplace_back("exporter-md-" + to_lower(key), value);
    }
    return std::make_unique<FileSink>(session_, group_, headers);
  }

  void send_tree(int exporter, const TreeToSend& tree, const SyncProgress& progress) override {
    check_exports();
    // The method speaks packets when the output is a directory, and bytes otherwise.
    Call call(*session_, group_, kSendFiles,
              {{"buildkit-attachable-exporter-id", fmt::format("{}", exporter)},
               {"buildkit-exporter-multi-platform", "1"}});
    converse(call, "sending the result to the client", [&](PacketStream& packets) {
      lade::send_tree(packets, tree, progress);
      call.writes_done();
      Packet rest;
      while (packets.read(rest)) {
      }
    });
  }

  bool has_agent(const std::string& id) override {
    if (!supports(kCheckAgent)) return false;
    Call call(*session_, group_, kCheckAgent);
    moby::sshforward::v1::CheckAgentRequest request;
    request.set_id(id);
    moby::sshforward::v1::CheckAgentResponse response;
    return call.answer(request, response).ok();
  }

  void forward_agent(const std::string& id, int socket) override {
    using moby::sshforward::v1::BytesMessage;
    Call call(*session_, group_, kForwardAgent, {{"buildkit.ssh.id", id}});
    std::thread to_client([&] {
      std::string buffer(kMessagePiece, '\0');
      BytesMessage message;
      for (;;) {
        const ssize_t size = ::read(socket, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        message.set_data(buffer.substr(0, static_cast<size_t>(size)));
        if (!call.write(message)) break;
      }
      call.writes_done();
    });
    try {
      BytesMessage message;
      while (call.read(message)) sys::write_all(socket, message.data());
    } catch (const Error&) {
      call.cancel();
    }
    ::shutdown(socket, SHUT_RDWR);
    to_client.join();
  }

  std::shared_ptr<CacheStorage> content(const std::string& store,
                                        std::optional<Descriptor> manifest) override {
    return session_content(session_, group_, store, std::move(manifest));
  }

  std::unique_ptr<ByteSource> upload(const std::string& path) override {
    auto call = std::make_unique<Call>(*session_, group_, kPull, CallMetadata{{"urlpath", path}});
    return std::make_unique<MessageSource<moby::upload::v1::BytesMessage>>(
        session_, std::move(call), "receiving what the client uploads");
  }

 private:
  std::unique_ptr<Directory> list_directory(const DirectoryRequest& request) const {
    if (!supports(kReceiveFiles)) throw Error("the client offers no local sources");
    return std::make_unique<Directory>(session_, group_, request);
  }

  void check_exports() const {
    if (!supports(kSendFiles)) {
      throw Error("the client takes no files: method FileSend is not supported by it");
    }
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<CallGroup> group_ = std::make_shared<CallGroup>();
};

}  // namespace

std::shared_ptr<SessionCalls> make_session_calls(std::shared_ptr<Session> session) {
  return std::make_shared<Calls>(std::move(session));
}

}  // namespace lade
