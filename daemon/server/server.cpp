#include "daemon/server/server.hpp"

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <grp.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "builder/attest/provenance.hpp"
#include "daemon/build/builds.hpp"
#include "daemon/build/history.hpp"
#include "daemon/server/bridge_service.hpp"
#include "daemon/server/collector.hpp"
#include "daemon/server/content_service.hpp"
#include "daemon/server/control_service.hpp"
#include "daemon/server/inherited_sockets.hpp"
#include "daemon/server/worker.hpp"
#include "registry/auth/files.hpp"
#include "registry/net/address_guard.hpp"
#include "snapshotter/state.hpp"

namespace lade {
namespace {

/// Each build has about four: a session, its solve, its progress, a frontend's own.
constexpr int kMaxCalls = 1024;
constexpr int kMaxGrpcMessage = 16 << 20;  // as BuildKit's
constexpr auto kGrace = std::chrono::seconds(5);

std::string read_pem(const std::string& path) {
  auto text = sys::read_file(path, 1u << 20);
  if (!text) throw Error("no such file " + lade::quoted(path), ErrorKind::not_found);
  return std::move(*text);
}

std::shared_ptr<grpc::ServerCredentials> credentials(const TlsFiles& files) {
  if (!files.any()) return grpc::InsecureServerCredentials();
  if (files.certificate.empty() || files.key.empty()) {
    throw Error("TLS needs both a certificate and its key", ErrorKind::usage);
  }
  grpc::SslServerCredentialsOptions options(
      files.ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                       : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  if (!files.ca.empty()) options.pem_root_certs = read_pem(files.ca);
  options.pem_key_cert_pairs.push_back({read_pem(files.key), read_pem(files.certificate)});
  return grpc::SslServerCredentials(options);
}

/// Tells the service manager (sd_notify(3)) if there is one.
void notify(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || !*path) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return;
  ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

/// A socket of a daemon that is gone may be replaced, one that answers may not.
void clear_socket(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) throw Error(lade::quoted(path) + " exists and is not a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw Error(lade::quoted(path) + " is too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    throw Error("another daemon listens at " + lade::quoted(path));
  }
  ::unlink(path.c_str());
}

void set_access(const std::string& path, const std::string& group) {
  gid_t gid = ::getegid();
  if (!group.empty()) {
    const char* end = group.data() + group.size();
    const auto [rest, failure] = std::from_chars(group.data(), end, gid);
    if (failure != std::errc() || rest != end || gid == static_cast<gid_t>(-1)) {
      const struct group* found = ::getgrnam(group.c_str());
      if (!found) throw Error("there is no group " + lade::quoted(group), ErrorKind::usage);
      gid = found->gr_gid;
    }
  }
  if (::chown(path.c_str(), ::geteuid(), gid) != 0 || ::chmod(path.c_str(), 0660) != 0) {
    throw_errno("could not set who may use " + lade::quoted(path));
  }
}

/// The address as gRPC has it, and the path if it is a unix socket.
std::pair<std::string, std::string> grpc_address(const std::string& address) {
  if (address.starts_with("unix://")) {
    const std::string path = address.substr(7);
    if (!path.starts_with('/')) {
      throw Error("--addr " + address + ": the path must be absolute", ErrorKind::usage);
    }
    return {"unix:" + path, path};
  }
  if (address.starts_with("tcp://")) return {address.substr(6), ""};
  throw Error(fmt::format("--addr {} is not supported: use unix://, tcp:// or fd://",
                          lade::quoted(address)),
              ErrorKind::usage);
}

/// certs.d for the registries of buildkitd.toml, in front of the user's.
void add_registry_tls(const DaemonOptions& options, const std::string& root,
                      RegistryOptions& registries) {
  if (options.registry_tls.empty()) return;
  const std::string certs = root + "/certs.d";
  const UniqueFd dir = sys::open(root, O_RDONLY | O_DIRECTORY);
  sys::remove_tree(dir.get(), "certs.d");
  for (const auto& [host, tls] : options.registry_tls) {
    const std::string place = certs + "/" + host;
    sys::make_dirs(place, 0700);
    std::string authorities;
    for (const auto& ca : tls.ca) authorities += read_pem(ca) + "\n";
    if (!authorities.empty()) sys::write_file_atomically(place + "/ca.crt", authorities, 0600);
    int number = 0;
    for (const auto& [key, certificate] : tls.keypairs) {
      const std::string name = fmt::format("{}/client-{}", place, number++);
      sys::write_file_atomically(name + ".cert", read_pem(certificate), 0600);
      sys::write_file_atomically(name + ".key", read_pem(key), 0600);
    }
  }
  RegistryFiles files = registries.files.value_or(RegistryFiles::of_user());
  files.certificates.insert(files.certificates.begin(), certs);
  registries.files = std::move(files);
}

std::string state_root(const DaemonOptions& options) {
  return StateDir::open(options.root)->root();
}

/// Sockets of the service manager's.
constexpr std::string_view kInherited = "fd://";

class Daemon {
 public:
  /// `ending` are the signals that end it. They are blocked already.
  Daemon(const DaemonOptions& options, ExecutorHost& executor, const sigset_t& ending)
      : options_(options),
        ending_(ending),
        root_(state_root(options)),
        shared_{.root = root_, .executor = executor, .sessions = sessions_},
        history_(root_ + "/history"),
        builds_(shared_, history_),
        worker_{worker_id(root_), options.labels, options.platforms},
        control_(shared_, builds_, history_, worker_),
        bridge_(builds_, worker_),
        content_(root_, history_) {
    shared_.registries.rules = options.registries;
    if (options.network_deny_sources) {
      shared_.registries.http.guard = std::make_shared<const AddressGuard>(options.network_deny);
    }
    shared_.entitlements = options.entitlements;
    shared_.max_parallelism = options.max_parallelism;
    shared_.local_images = options.local_images;
    shared_.executor.limit(options.max_parallelism);
    shared_.provenance_environment = provenance_environment(options.provenance_directory);
    add_registry_tls(options, root_, shared_.registries);
  }

  int run() {
    shared_.executor.start_thread();
    for (const auto& note : options_.notes) fmt::print(stderr, "lade daemon: {}\n", note);
    const auto server = start();
    Collector collector(root_, options_);
    notify("READY=1");
    // What a flood of calls took is the allocator's afterwards, spread over the arenas of a
    // thousand threads; it keeps it unless it is asked.
    constexpr timespec kBetweenTrims{10, 0};
    while (sigtimedwait(&ending_, nullptr, &kBetweenTrims) < 0) ::malloc_trim(0);
    notify("STOPPING=1");
    // A second signal ends the process at once.
    ::pthread_sigmask(SIG_UNBLOCK, &ending_, nullptr);
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    control_.stop();
    history_.wake();
    builds_.shut_down();
    sessions_.close_all();
    acceptor_.reset();
    server->Shutdown(std::chrono::system_clock::now() + kGrace);
    for (const auto& path : sockets_) ::unlink(path.c_str());
    return 0;
  }

 private:
  std::unique_ptr<grpc::Server> start() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxGrpcMessage);
    builder.SetMaxSendMessageSize(kMaxGrpcMessage);
    // A client whose machine has gone without a word is found out.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    // A call under way takes a thread. Further ones are refused (RESOURCE_EXHAUSTED), so that a
    // flood of them ends neither the daemon nor the machine.
    grpc::ResourceQuota quota("lade daemon");
    quota.SetMaxThreads(kMaxCalls);
    builder.SetResourceQuota(quota);
    // A connection that asks for more than all may have is closed: what it has asked for and nobody
    // serves yet takes memory, too. (gRPC 1.51 holds only those to it who acknowledge its
    // settings.)
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCalls);
    // Two daemons at one port would share its connections.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    std::vector<int> ports(options_.addresses.size(), 0);
    for (size_t i = 0; i < options_.addresses.size(); ++i) {
      if (options_.addresses[i] == kInherited) {
        ports[i] = 1;  // somebody listens already
        inherited_ = take_inherited_sockets();
        continue;
      }
      const auto [address, path] = grpc_address(options_.addresses[i]);
      if (!path.empty()) {
        sys::make_dirs(dir_name(path), 0711);
        clear_socket(path);
        sockets_.push_back(path);
      }
      builder.AddListeningPort(
          address, path.empty() ? credentials(options_.tls) : grpc::InsecureServerCredentials(),
          &ports[i]);
    }
    builder.RegisterService(&control_);
    builder.RegisterService(&bridge_);
    builder.RegisterService(&content_);
    // Only who may connect should be able to, from the first moment on.
    const mode_t mask = ::umask(0117);
    auto server = builder.BuildAndStart();
    ::umask(mask);
    for (size_t i = 0; i < options_.addresses.size(); ++i) {
      if (!server || ports[i] == 0) throw Error("could not listen at " + options_.addresses[i]);
      fmt::print(stderr, "lade daemon: listening at {}\n", options_.addresses[i]);
    }
    if (!server) throw Error("could not listen anywhere");
    for (const auto& path : sockets_) set_access(path, options_.group);
    if (!inherited_.empty()) acceptor_.emplace(std::move(inherited_), *server);
    return server;
  }

  const DaemonOptions& options_;
  const sigset_t ending_;
  std::string root_;
  Sessions sessions_;
  DaemonShared shared_;
  History history_;
  Builds builds_;
  WorkerInfo worker_;
  ControlService control_;
  BridgeService bridge_;
  ContentService content_;
  std::vector<std::string> sockets_;
  std::vector<UniqueFd> inherited_;  // until acceptor_ has them
  std::optional<SocketAcceptor> acceptor_;
};

}  // namespace

int serve(const DaemonOptions& options, ExecutorHost& executor) {
  // Before anything starts a thread, which would be ended by them, and all others with it.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  // Never undone: when its last user goes, gRPC 1.51 waits for a poller of its own for up to ten
  // seconds.
  grpc_init();
  return Daemon(options, executor, ending).run();
}

}  // namespace lade
