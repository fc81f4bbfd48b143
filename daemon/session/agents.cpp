#include "daemon/session/agents.hpp"

#include <atomic>
#include <cstring>
#include <list>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace lade {
namespace {

constexpr size_t kMaxConnections = 64;  // of one agent at once

UniqueFd listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error(fmt::format("{} is too long for a socket", lade::quoted(path)));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener) throw_errno("could not make a socket");
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 16) != 0) {
    throw_errno("could not listen at " + lade::quoted(path));
  }
  return listener;
}

}  // namespace

class SessionAgents::Listener {
 public:
  Listener(std::shared_ptr<SessionCalls> session, std::string id, std::string path)
      : session_(std::move(session)),
        id_(std::move(id)),
        path_(std::move(path)),
        listener_(listen_at(path_)),
        stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (!stop_) throw_errno("could not make an eventfd");
    thread_ = std::thread([this] { serve(); });
  }
  ~Listener() {
    const uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
    for (auto& connection : connections_) ::shutdown(connection.fd.get(), SHUT_RDWR);
    for (auto& connection : connections_) connection.thread.join();
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const std::string& path() const { return path_; }

 private:
  struct Connection {
    UniqueFd fd;
    std::thread thread;
    std::atomic<bool> done{false};
  };

  void serve() {
    for (;;) {
      pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
      if (fds[1].revents != 0) return;
      if ((fds[0].revents & POLLIN) == 0) continue;
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) continue;
      connections_.remove_if([](Connection& connection) {
        if (!connection.done) return false;
        connection.thread.join();
        return true;
      });
      if (connections_.size() >= kMaxConnections) continue;
      Connection& connection = connections_.emplace_back();
      connection.fd = std::move(fd);
      connection.thread = std::thread([this, &connection] {
        try {
          session_->forward_agent(id_, connection.fd.get());
        } catch (const std::exception&) {
          // The step sees a connection that ended.
        }
        ::shutdown(connection.fd.get(), SHUT_RDWR);
        connection.done = true;
      });
    }
  }

  std::shared_ptr<SessionCalls> session_;
  std::string id_;
  std::string path_;
  UniqueFd listener_;
  UniqueFd stop_;
  std::list<Connection> connections_;  // of thread_, until that has ended
  std::thread thread_;
};

SessionAgents::SessionAgents(std::shared_ptr<SessionCalls> session, const std::string& tmp)
    : session_(std::move(session)), directory_(TempDir::create(tmp, "agents-")) {}

SessionAgents::~SessionAgents() = default;

std::string SessionAgents::socket(const std::string& id) {
  const auto known = listeners_.find(id);
  if (known != listeners_.end()) return known->second ? known->second->path() : "";
  auto& listener = listeners_[id];
  if (!session_->has_agent(id)) return "";
  listener = std::make_unique<Listener>(session_, id,
                                        fmt::format("{}/{}", directory_.path(), listeners_.size()));
  return listener->path();
}

}  // namespace lade
