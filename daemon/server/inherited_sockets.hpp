// Socket activation (sd_listen_fds(3)): the service manager listens, and starts the daemon when the
// first client comes.
#pragma once

#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace grpc {
class Server;
}

namespace lade {

/// The sockets that this process was started with, which then belong to the caller. Throws Error if
/// there is none, or one that is not a listening unix socket: tcp wants TLS, which `--addr tcp://`
/// has.
std::vector<UniqueFd> take_inherited_sockets();

/// Accepts connections for a server on a thread of its own, which ends with this.
class SocketAcceptor {
 public:
  /// `server` outlives it.
  SocketAcceptor(std::vector<UniqueFd> sockets, grpc::Server& server);
  ~SocketAcceptor();
  SocketAcceptor(const SocketAcceptor&) = delete;
  SocketAcceptor& operator=(const SocketAcceptor&) = delete;

 private:
  void run();

  std::vector<UniqueFd> sockets_;
  grpc::Server& server_;
  UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace lade
