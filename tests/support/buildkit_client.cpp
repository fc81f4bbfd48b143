#include "tests/support/buildkit_client.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "daemon/proto/filesync.grpc.pb.h"
#include "daemon/proto/secrets.grpc.pb.h"
#include "daemon/session/go_stat.hpp"
#include "snapshotter/tree/layer_index.hpp"
#include "tests/support/sockets.hpp"

extern char** environ;

namespace lade::test {
namespace {

namespace api = moby::buildkit::v1;
using fsutil::types::Packet;
using FilePackets = grpc::ServerReaderWriter<Packet, Packet>;
using FileBytes =
    grpc::ServerReaderWriter<moby::filesync::v1::BytesMessage, moby::filesync::v1::BytesMessage>;

std::string metadata(const grpc::ServerContext& context, const std::string& key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

std::vector<std::string> all_metadata(const grpc::ServerContext& context, const std::string& key) {
  std::vector<std::string> out;
  const auto [first, last] = context.client_metadata().equal_range(key);
  for (auto at = first; at != last; ++at) out.emplace_back(at->second.data(), at->second.size());
  return out;
}

/// Sends whole directories, whatever the filters: daemons must do with that.
class FileSync final : public moby::filesync::v1::FileSync::Service {
 public:
  explicit FileSync(BuildkitClient& client) : client_(client) {}

  grpc::Status DiffCopy(grpc::ServerContext* context, FilePackets* stream) override {
    const std::string name = metadata(*context, "dir-name");
    client_.on_listing(
        {name, all_metadata(*context, "exclude-patterns"), all_metadata(*context, "followpaths")});
    const auto found = client_.directories.find(name);
    if (found == client_.directories.end()) {
      return {grpc::StatusCode::NOT_FOUND, "no access allowed to dir " + name};
    }
    std::vector<std::string> paths;
    for (const auto& [path, text] : found->second) paths.push_back(path);
    std::sort(paths.begin(), paths.end(),
              [](const std::string& a, const std::string& b) { return compare_paths(a, b) < 0; });
    Packet packet;
    packet.set_type(Packet::PACKET_STAT);
    for (const auto& path : paths) {
      auto& stat = *packet.mutable_stat();
      stat.set_path(path);
      stat.set_mode(path.ends_with("/.") ? 0755 | kGoDir : 0644);
      stat.set_size(static_cast<int64_t>(found->second.at(path).size()));
      stat.set_modtime(1'000'000'000);
      stream->Write(packet);
    }
    packet.clear_stat();
    stream->Write(packet);
    while (stream->Read(&packet)) {
      if (packet.type() == Packet::PACKET_FIN) {
        stream->Write(packet);
        return grpc::Status::OK;
      }
      if (packet.type() != Packet::PACKET_REQ || packet.id() >= paths.size()) break;
      const std::string& path = paths[packet.id()];
      {
        const std::lock_guard lock(mutex_);
        client_.asked.push_back(path);
      }
      Packet data;
      data.set_type(Packet::PACKET_DATA);
      data.set_id(packet.id());
      if (!found->second.at(path).empty()) {
        data.set_data(found->second.at(path));
        stream->Write(data);
        data.clear_data();
      }
      stream->Write(data);
    }
    return {grpc::StatusCode::ABORTED, "the daemon gave up"};
  }

 private:
  BuildkitClient& client_;
  std::mutex mutex_;
};

class FileSend final : public moby::filesync::v1::FileSend::Service {
 public:
  explicit FileSend(BuildkitClient& client) : client_(client) {}
  grpc::Status DiffCopy(grpc::ServerContext* context, FileBytes* stream) override {
    const int exporter = std::stoi("0" + metadata(*context, "buildkit-attachable-exporter-id"));
    std::string bytes;
    moby::filesync::v1::BytesMessage message;
    while (stream->Read(&message)) bytes += message.data();
    client_.files[exporter] = std::move(bytes);
    return grpc::Status::OK;
  }

 private:
  BuildkitClient& client_;
};

class Secrets final : public moby::buildkit::secrets::v1::Secrets::Service {
 public:
  explicit Secrets(BuildkitClient& client) : client_(client) {}
  grpc::Status GetSecret(grpc::ServerContext*,
                         const moby::buildkit::secrets::v1::GetSecretRequest* request,
                         moby::buildkit::secrets::v1::GetSecretResponse* response) override {
    const auto found = client_.secrets.find(request->id());
    if (found == client_.secrets.end()) return {grpc::StatusCode::NOT_FOUND, "no such secret"};
    response->set_data(found->second);
    return grpc::Status::OK;
  }

 private:
  BuildkitClient& client_;
};

class Auth final : public moby::filesync::v1::Auth::Service {
 public:
  explicit Auth(BuildkitClient& client) : client_(client) {}
  grpc::Status Credentials(grpc::ServerContext*,
                           const moby::filesync::v1::CredentialsRequest* request,
                           moby::filesync::v1::CredentialsResponse* response) override {
    const auto found = client_.credentials.find(request->host());
    if (found == client_.credentials.end()) return grpc::Status::OK;
    response->set_username(found->second.first);
    response->set_secret(found->second.second);
    return grpc::Status::OK;
  }

 private:
  BuildkitClient& client_;
};

}  // namespace

/// A server on one end of a socket pair; the stream carries the other.
class BuildkitClient::SessionSide {
 public:
  SessionSide(BuildkitClient& client, const std::string& id)
      : sync_(client), send_(client), secrets_(client), auth_(client) {
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
      throw_errno("socketpair");
    }
    socket_ = UniqueFd(sockets[0]);
    ::fcntl(sockets[1], F_SETFL, O_NONBLOCK);
    grpc::ServerBuilder builder;
    builder.RegisterService(&sync_);
    builder.RegisterService(&send_);
    builder.RegisterService(&secrets_);
    builder.RegisterService(&auth_);
    server_ = builder.BuildAndStart();
    grpc::AddInsecureChannelFromFd(server_.get(), sockets[1]);
    context_.AddMetadata("x-docker-expose-session-uuid", id);
    for (const char* method :
         {"/moby.filesync.v1.FileSync/DiffCopy", "/moby.filesync.v1.FileSend/DiffCopy",
          "/moby.buildkit.secrets.v1.Secrets/GetSecret", "/moby.filesync.v1.Auth/Credentials"}) {
      context_.AddMetadata("x-docker-expose-session-grpc-method", method);
    }
    stream_ = client.control().Session(&context_);
    to_daemon_ = std::thread([this] {
      char buffer[32768];
      api::BytesMessage message;
      for (;;) {
        const ssize_t size = ::read(socket_.get(), buffer, sizeof buffer);
        if (size <= 0) return;
        message.set_data(buffer, static_cast<size_t>(size));
        if (!stream_->Write(message)) return;
      }
    });
    from_daemon_ = std::thread([this] {
      api::BytesMessage message;
      while (stream_->Read(&message) && send_all(socket_.get(), message.data())) {
      }
      ::shutdown(socket_.get(), SHUT_RDWR);
    });
  }

  ~SessionSide() {
    context_.TryCancel();
    ::shutdown(socket_.get(), SHUT_RDWR);
    to_daemon_.join();
    from_daemon_.join();
    stream_->Finish();
    server_->Shutdown(std::chrono::system_clock::now());
  }

 private:
  FileSync sync_;
  FileSend send_;
  Secrets secrets_;
  Auth auth_;
  UniqueFd socket_;
  std::unique_ptr<grpc::Server> server_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<api::BytesMessage, api::BytesMessage>> stream_;
  std::thread to_daemon_;
  std::thread from_daemon_;
};

BuildkitClient::BuildkitClient(const std::string& address)
    : channel_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
      control_(api::Control::NewStub(channel_)),
      gateway_(api::frontend::LLBBridge::NewStub(channel_)) {}

BuildkitClient::~BuildkitClient() = default;

std::string BuildkitClient::open_session() {
  session_id_ = sys::random_hex(12);
  session_ = std::make_unique<SessionSide>(*this, session_id_);
  return session_id_;
}

void BuildkitClient::cut_session() {
  session_.reset();
}

api::SolveRequest BuildkitClient::dockerfile_build(const std::string& ref) const {
  api::SolveRequest request;
  request.set_ref(ref);
  request.set_session(session_id_);
  request.set_frontend("dockerfile.v0");
  return request;
}

grpc::Status BuildkitClient::solve(const api::SolveRequest& request, api::SolveResponse& response) {
  grpc::ClientContext context;
  return control_->Solve(&context, request, &response);
}

api::StatusResponse BuildkitClient::status(const std::string& ref) {
  grpc::ClientContext context;
  api::StatusRequest request;
  request.set_ref(ref);
  const auto reader = control_->Status(&context, request);
  api::StatusResponse all;
  api::StatusResponse part;
  while (reader->Read(&part)) all.MergeFrom(part);
  reader->Finish();
  return all;
}

std::string busybox() {
  std::ifstream in("/bin/busybox", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

DaemonProcess::DaemonProcess(const std::string& program, const std::string& directory,
                             std::vector<std::string> args)
    : directory_(directory) {
  // Ready is what it tells a service manager (sd_notify(3)).
  const std::string notify = directory + "/notify";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (notify.size() >= sizeof address.sun_path) throw Error("the path is too long");
  std::memcpy(address.sun_path, notify.c_str(), notify.size() + 1);
  ::unlink(notify.c_str());
  const UniqueFd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("could not bind " + notify);
  }
  args.insert(args.begin(), {program, "--root", root(), "--addr",
                             "unix://" + directory_ + "/socket", "--config", "/dev/null"});
  std::vector<char*> argv;
  for (auto& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  std::string variable = "NOTIFY_SOCKET=" + notify;
  std::vector<char*> variables = {variable.data()};
  for (char** entry = environ; *entry; ++entry) variables.push_back(*entry);
  variables.push_back(nullptr);
  if (const int failed =
          ::posix_spawn(&pid_, program.c_str(), nullptr, nullptr, argv.data(), variables.data());
      failed != 0) {
    throw Error::from_errno(failed, "could not start " + program);
  }
  for (int i = 0; i < 1000; ++i) {
    pollfd ready{manager.get(), POLLIN, 0};
    if (::poll(&ready, 1, 20) == 1) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw Error("the daemon ended at once");
    }
  }
  end(SIGKILL);
  throw Error("the daemon did not come up");
}

DaemonProcess::~DaemonProcess() {
  end(SIGTERM);
}

int DaemonProcess::end(int signal) {
  if (pid_ < 0) return -1;
  ::kill(pid_, signal);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace lade::test
