#include "solver/ops/ssh_forward.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/event_loop.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

// Numbers of draft-miller-ssh-agent, section 5.1.
constexpr unsigned char kFailure = 5;
constexpr unsigned char kRequestIdentities = 11;
constexpr unsigned char kSignRequest = 13;

constexpr size_t kMaxMessage = 256 * 1024;  // as OpenSSH's agent
constexpr size_t kMaxConnections = 64;
constexpr size_t kHeader = 4;

/// Socket addresses are short; through /proc any directory has a short name.
sockaddr_un address_of(int directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
  if (path.size() >= sizeof address.sun_path) throw Error("the socket's name is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

UniqueFd new_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw_errno("could not make a socket");
  return fd;
}

UniqueFd connect_to(const std::string& path) {
  const auto slash = path.rfind('/');
  const UniqueFd directory =
      sys::open(slash == std::string::npos ? "." : path.substr(0, slash + 1), O_PATH | O_DIRECTORY);
  const sockaddr_un address = address_of(directory.get(), path.substr(slash + 1));
  UniqueFd fd = new_socket();
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("could not reach the ssh agent at " + quoted(path));
  }
  return fd;
}

/// The size of the message at the front, header included; 0 if not all of it is there. Throws for
/// one that no agent takes.
size_t message_size(const std::string& buffer) {
  if (buffer.size() < kHeader) return 0;
  uint32_t size = 0;
  for (size_t i = 0; i < kHeader; ++i) size = size << 8 | static_cast<unsigned char>(buffer[i]);
  if (size == 0 || size > kMaxMessage) throw Error("an agent message of a bad size");
  return buffer.size() - kHeader >= size ? kHeader + size : 0;
}

}  // namespace

/// One client: requests are passed on one at a time, so that answers keep their order.
class SshForward::Connection {
 public:
  Connection(EventLoop& loop, UniqueFd client, const std::string& agent)
      : loop_(loop), client_(std::move(client)), agent_(connect_to(agent)) {}
  ~Connection() {
    loop_.unwatch(client_.get());
    loop_.unwatch(agent_.get());
  }

  /// `on_end` is called when the connection is over, from the loop.
  void start(EventLoop::Callback on_end) {
    on_end_ = std::move(on_end);
    loop_.watch(client_.get(), EPOLLIN, [this](uint32_t) {
      guarded([this] {
        receive(client_.get(), requests_);
        pass_on();
      });
    });
    loop_.watch(agent_.get(), EPOLLIN, [this](uint32_t) {
      guarded([this] {
        receive(agent_.get(), answers_);
        const size_t size = message_size(answers_);
        if (size == 0) return;
        send(client_.get(), answers_.substr(0, size));
        answers_.erase(0, size);
        waiting_ = false;
        pass_on();
      });
    });
  }

 private:
  template <class Body>
  void guarded(Body body) {
    try {
      body();
    } catch (const Error&) {
      // Ended by posting: this object must not go away under its own callback.
      loop_.unwatch(client_.get());
      loop_.unwatch(agent_.get());
      loop_.post(on_end_);
    }
  }

  void pass_on() {
    while (!waiting_) {
      const size_t size = message_size(requests_);
      if (size == 0) return;
      const auto type = static_cast<unsigned char>(requests_[kHeader]);
      if (type == kRequestIdentities || type == kSignRequest) {
        send(agent_.get(), requests_.substr(0, size));
        waiting_ = true;
      } else {
        send(client_.get(), std::string{0, 0, 0, 1, static_cast<char>(kFailure)});
      }
      requests_.erase(0, size);
    }
  }

  static void receive(int fd, std::string& buffer) {
    char chunk[16 * 1024];
    const ssize_t count = ::read(fd, chunk, sizeof chunk);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) throw Error("the connection is over");
    buffer.append(chunk, static_cast<size_t>(count));
    if (buffer.size() > 2 * kMaxMessage) throw Error("too much at once");
  }

  /// Messages fit into a socket's buffer unless the other side reads nothing.
  static void send(int fd, const std::string& message) {
    const ssize_t count = ::send(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count != static_cast<ssize_t>(message.size())) throw Error("the other side does not read");
  }

  EventLoop& loop_;
  UniqueFd client_;
  UniqueFd agent_;
  EventLoop::Callback on_end_;
  std::string requests_;
  std::string answers_;
  bool waiting_ = false;  // for the agent's answer
};

SshSocket listen_for_ssh(const std::string& directory, const std::string& agent, uint32_t mode,
                         uint32_t uid, uint32_t gid) {
  const UniqueFd dir = sys::open(directory, O_PATH | O_DIRECTORY);
  const std::string name(kSshSocketName);
  const sockaddr_un address = address_of(dir.get(), name);
  SshSocket out{new_socket(), agent};
  if (::bind(out.listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
          0 ||
      ::fchownat(dir.get(), name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(dir.get(), name.c_str(), mode, 0) != 0 || ::listen(out.listener.get(), 16) != 0) {
    throw_errno("could not make the ssh socket");
  }
  return out;
}

SshForward::SshForward(EventLoop& loop, SshSocket socket)
    : loop_(loop), socket_(std::move(socket)) {
  loop_.watch(socket_.listener.get(), EPOLLIN, [this](uint32_t) { accept(); });
}

SshForward::~SshForward() {
  loop_.unwatch(socket_.listener.get());
}

void SshForward::accept() {
  UniqueFd client(
      ::accept4(socket_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client || connections_.size() >= kMaxConnections) return;
  const int fd = client.get();
  try {
    auto made = std::make_unique<Connection>(loop_, std::move(client), socket_.agent);
    Connection& connection = *(connections_[fd] = std::move(made));
    connection.start([this, fd, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) connections_.erase(fd);
    });
  } catch (const Error&) {
    // The agent is gone: the step sees its connection closed.
  }
}

}  // namespace lade
