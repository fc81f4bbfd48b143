// `RUN --mount=type=ssh`: a socket in the step behind which the user's ssh-agent answers.
//
// A step may list keys and have things signed; it may not add, remove or lock keys, or use
// extensions: such requests are answered with a failure here (draft-miller-ssh-agent, sections 3
// and 5.1).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace lade {

class EventLoop;

inline constexpr std::string_view kSshSocketName = "agent";

/// A listening socket for one step, and the agent it stands for.
struct SshSocket {
  UniqueFd listener;
  std::string agent;  ///< path of the agent's socket
};

/// Makes `directory`/agent with the owner and mode. Throws Error.
SshSocket listen_for_ssh(const std::string& directory, const std::string& agent, uint32_t mode,
                         uint32_t uid, uint32_t gid);

/// Serves a socket while it lives. Create and destroy on the loop's thread. Nothing a client does
/// blocks the loop or fails the build: a connection that misbehaves is closed.
class SshForward {
 public:
  SshForward(EventLoop& loop, SshSocket socket);
  ~SshForward();
  SshForward(const SshForward&) = delete;
  SshForward& operator=(const SshForward&) = delete;

 private:
  class Connection;
  void accept();

  EventLoop& loop_;
  SshSocket socket_;
  std::map<int, std::unique_ptr<Connection>> connections_;  // by the client's descriptor
  std::shared_ptr<int> alive_ = std::make_shared<int>();    // until then posted ends may come
};

}  // namespace lade
