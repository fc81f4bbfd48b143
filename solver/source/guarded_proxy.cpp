#include "solver/source/guarded_proxy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

constexpr int kConnectMilliseconds = 30'000;
constexpr int kAskMilliseconds = 10'000;  // for what a client says before its request is known
constexpr size_t kMaxConnections = 64;
constexpr size_t kFlowBuffer = 64 << 10;

// RFC 1928, 3 and 6; RFC 1929.
constexpr unsigned char kVersion = 5;
constexpr unsigned char kByPassword = 2;
constexpr unsigned char kConnect = 1;
enum Reply : unsigned char { succeeded = 0, not_allowed = 2, unreachable = 4, unsupported = 7 };
enum AddressType : unsigned char { ipv4 = 1, name = 3, ipv6 = 4 };

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Addresses resolve_host(const std::string& host, const char* port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (::getaddrinfo(host.c_str(), port, &hints, &first) != 0) first = nullptr;
  return {first, ::freeaddrinfo};
}

std::string refusal_of(const std::string& host, const sockaddr* address) {
  return fmt::format("{} is at {}, which builds may not connect to", host, address_text(address));
}

/// Waits until `fd` is ready for `events`; false if the proxy ends or nothing happens.
bool wait_for(int fd, short events, int stop, int milliseconds) {
  pollfd fds[2] = {{fd, events, 0}, {stop, POLLIN, 0}};
  int ready = 0;
  do {
    ready = ::poll(fds, 2, milliseconds);
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && fds[1].revents == 0;
}

/// What a client says before its bytes are passed on. Throws Error if it does not.
class Asked {
 public:
  Asked(int fd, int stop) : fd_(fd), stop_(stop) {}

  unsigned char byte() { return static_cast<unsigned char>(bytes(1)[0]); }
  std::string counted() { return bytes(byte()); }
  std::string bytes(size_t size) {
    std::string out(size, '\0');
    for (size_t got = 0; got < size;) {
      if (!wait_for(fd_, POLLIN, stop_, kAskMilliseconds)) throw Error("the client says nothing");
      const ssize_t count = ::recv(fd_, out.data() + got, size - got, 0);
      if (count <= 0) throw Error("the client has gone");
      got += static_cast<size_t>(count);
    }
    return out;
  }

 private:
  int fd_;
  int stop_;
};

void answer(int fd, std::string_view bytes) {
  if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
    throw Error("the client has gone");
  }
}

std::string read_host(Asked& asked) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  switch (asked.byte()) {
    case AddressType::name:
      return asked.counted();
    case AddressType::ipv4:
      return ::inet_ntop(AF_INET, asked.bytes(4).data(), text.data(), text.size());
    case AddressType::ipv6:
      return ::inet_ntop(AF_INET6, asked.bytes(16).data(), text.data(), text.size());
    default:
      throw Error("an address of an unknown kind");
  }
}

/// One direction.
struct Flow {
  int from;
  int to;
  std::string bytes{};
  bool ended = false;

  bool wants_to_read() const { return !ended && bytes.empty(); }
  bool wants_to_write() const { return !bytes.empty(); }

  /// False if the connection is broken.
  bool move(bool readable, bool writable) {
    if (wants_to_read() && readable) {
      std::array<char, kFlowBuffer> buffer{};
      const ssize_t count = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count < 0) return errno == EAGAIN || errno == EINTR;
      bytes.assign(buffer.data(), static_cast<size_t>(count));
      ended = count == 0;
      if (ended) ::shutdown(to, SHUT_WR);
    } else if (wants_to_write() && writable) {
      const ssize_t count = ::send(to, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0) return errno == EAGAIN || errno == EINTR;
      bytes.erase(0, static_cast<size_t>(count));
    }
    return true;
  }
};

/// Passes bytes on in both directions until both have ended.
void relay(int client, int server, int stop) {
  Flow up{client, server};
  Flow down{server, client};
  while (!up.ended || !down.ended || up.wants_to_write() || down.wants_to_write()) {
    const auto events = [](const Flow& reads, const Flow& writes) {
      return static_cast<short>((reads.wants_to_read() ? POLLIN : 0) |
                                (writes.wants_to_write() ? POLLOUT : 0));
    };
    pollfd fds[3] = {
        {client, events(up, down), 0}, {server, events(down, up), 0}, {stop, POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0 && errno != EINTR) return;
    if (fds[2].revents != 0) return;
    const auto ready = [&](int which, short wanted) {
      return (fds[which].revents & (wanted | POLLERR | POLLHUP)) != 0;
    };
    if (!up.move(ready(0, POLLIN), ready(1, POLLOUT))) return;
    if (!down.move(ready(1, POLLIN), ready(0, POLLOUT))) return;
    // With nothing to wait for, a peer that is gone altogether would keep poll(2) awake.
    if ((fds[0].revents | fds[1].revents) & (POLLERR | POLLNVAL)) return;
    if ((fds[0].revents & POLLHUP) && up.ended) return;
    if ((fds[1].revents & POLLHUP) && down.ended && !down.wants_to_write()) return;
  }
}

UniqueFd connect_to(const addrinfo& address, int stop) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {};
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS || !wait_for(fd.get(), POLLOUT, stop, kConnectMilliseconds)) return {};
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fd.reset();
  return fd;
}

}  // namespace

GuardedProxy::GuardedProxy(std::shared_ptr<const AddressGuard> guard)
    : guard_(std::move(guard)), password_(sys::random_hex(16)) {
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener_ || !stop_ || ::bind(listener_.get(), generic, size) != 0 ||
      ::listen(listener_.get(), kMaxConnections) != 0 ||
      ::getsockname(listener_.get(), generic, &size) != 0) {
    throw_errno("could not listen for git's connections");
  }
  url_ = fmt::format("socks5h://lade:{}@127.0.0.1:{}", password_, ntohs(address.sin_port));
  thread_ = std::thread([this] { accept_all(); });
}

GuardedProxy::~GuardedProxy() {
  const uint64_t one = 1;
  // Never read: from now on it stays readable for all who wait.
  if (::write(stop_.get(), &one, sizeof one) < 0) std::abort();
  thread_.join();
  for (auto& connection : connections_) connection.thread.join();
}

void GuardedProxy::accept_all() {
  while (wait_for(listener_.get(), POLLIN, stop_.get(), -1)) {
    const int client = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    connections_.remove_if([](Connection& one) {
      if (one.ended) one.thread.join();
      return one.ended.load();
    });
    UniqueFd owned(client);
    if (!owned || connections_.size() >= kMaxConnections) continue;
    Connection& connection = connections_.emplace_back();
    connection.thread = std::thread([this, &connection, client = owned.release()] {
      const UniqueFd own(client);
      try {
        serve(client);
      } catch (const Error&) {
        // The client sees the connection's end.
      }
      connection.ended = true;
    });
  }
}

void GuardedProxy::serve(int client) {
  Asked asked(client, stop_.get());
  if (asked.byte() != kVersion) return;
  if (asked.counted().find(static_cast<char>(kByPassword)) == std::string::npos) return;
  answer(client, {"\5\2", 2});
  asked.byte();  // the version of this part
  asked.counted();
  const bool known = asked.counted() == password_;
  answer(client, known ? std::string_view("\1\0", 2) : std::string_view("\1\1", 2));
  if (!known || asked.byte() != kVersion) return;
  const unsigned char command = asked.byte();
  asked.byte();  // reserved
  const std::string host = read_host(asked);
  const std::string number = asked.bytes(2);
  const int port =
      static_cast<unsigned char>(number[0]) << 8 | static_cast<unsigned char>(number[1]);
  unsigned char code = Reply::unsupported;
  UniqueFd server;
  if (command == kConnect) server = connect(host, fmt::format("{}", port), code);
  const char reply[] = {5, static_cast<char>(code), 0, 1, 0, 0, 0, 0, 0, 0};
  answer(client, {reply, sizeof reply});
  if (server) relay(client, server.get(), stop_.get());
}

UniqueFd GuardedProxy::connect(const std::string& host, const std::string& port,
                               unsigned char& code) {
  code = Reply::unreachable;
  const Addresses addresses = resolve_host(host, port.c_str());
  for (const auto* one = addresses.get(); one != nullptr; one = one->ai_next) {
    if (guard_->refuses(one->ai_addr)) {
      code = Reply::not_allowed;
      const std::lock_guard lock(mutex_);
      refusal_ = refusal_of(host, one->ai_addr);
      continue;
    }
    UniqueFd fd = connect_to(*one, stop_.get());
    if (!fd) continue;
    code = Reply::succeeded;
    return fd;
  }
  return {};
}

std::string GuardedProxy::take_refusal() {
  const std::lock_guard lock(mutex_);
  return std::exchange(refusal_, {});
}

std::string allowed_address(const AddressGuard& guard, const std::string& host) {
  const Addresses addresses = resolve_host(host, nullptr);
  if (!addresses) throw Error(fmt::format("could not resolve the host {}", quoted(host)));
  for (const auto* one = addresses.get(); one != nullptr; one = one->ai_next) {
    if (!guard.refuses(one->ai_addr)) return address_text(one->ai_addr);
  }
  throw Error(refusal_of(host, addresses->ai_addr));
}

}  // namespace lade
