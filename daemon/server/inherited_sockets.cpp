#include "daemon/server/inherited_sockets.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/server.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START
constexpr int kMostSockets = 64;

int number_of(const char* variable) {
  const std::string text = sys::getenv(variable);
  int number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc() && rest == end ? number : 0;
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

std::vector<UniqueFd> take_inherited_sockets() {
  const bool ours = number_of("LISTEN_PID") == ::getpid();
  const int count = ours ? std::clamp(number_of("LISTEN_FDS"), 0, kMostSockets) : 0;
  // Not for those that this process starts.
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  if (count == 0) {
    Error error("--addr fd://: no socket was handed over", ErrorKind::usage);
    error.set_hint("it is for systemd's socket units, such as lade.socket");
    throw error;
  }
  std::vector<UniqueFd> out;
  for (int fd = kFirstSocket; fd < kFirstSocket + count; ++fd) {
    out.emplace_back(fd);
    const bool listens = option_of(fd, SO_ACCEPTCONN) == 1 &&
                         option_of(fd, SO_TYPE) == SOCK_STREAM &&
                         option_of(fd, SO_DOMAIN) == AF_UNIX;
    if (!listens) {
      throw Error(fmt::format("--addr fd://: descriptor {} is not a listening unix socket", fd),
                  ErrorKind::usage);
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  return out;
}

SocketAcceptor::SocketAcceptor(std::vector<UniqueFd> sockets, grpc::Server& server)
    : sockets_(std::move(sockets)), server_(server), stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) throw_errno("could not make an eventfd");
  thread_ = std::thread([this] { run(); });
}

SocketAcceptor::~SocketAcceptor() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void SocketAcceptor::run() {
  std::vector<pollfd> waiting = {{stop_.get(), POLLIN, 0}};
  for (const auto& socket : sockets_) waiting.push_back({socket.get(), POLLIN, 0});
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[0].revents != 0) return;
    for (size_t i = 1; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      UniqueFd connection(::accept4(waiting[i].fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (connection) {
        grpc::AddInsecureChannelFromFd(&server_, connection.release());
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        // Whoever waits still does: there is nothing to be had until somebody else goes.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }
}

}  // namespace lade
