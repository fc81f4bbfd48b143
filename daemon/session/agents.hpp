// The client's ssh-agents as sockets of this machine, which steps and git ask.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/temp_dir.hpp"
#include "daemon/session/session_calls.hpp"

namespace lade {

class SessionAgents {
 public:
  /// Sockets are made in a directory of their own below `tmp`.
  SessionAgents(std::shared_ptr<SessionCalls> session, const std::string& tmp);
  /// Ends all connections.
  ~SessionAgents();
  SessionAgents(const SessionAgents&) = delete;
  SessionAgents& operator=(const SessionAgents&) = delete;

  /// The socket of agent `id`, made when it is first asked for; empty if the client has none.
  std::string socket(const std::string& id);

 private:
  class Listener;
  std::shared_ptr<SessionCalls> session_;
  TempDir directory_;
  std::map<std::string, std::unique_ptr<Listener>> listeners_;
};

}  // namespace lade
