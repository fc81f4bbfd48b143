// --ssh: the agents that steps may ask.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lade {

/// One value of --ssh, checked: "default", "ID", "ID=SOCKET" or "ID=KEYFILE[,KEYFILE...]".
struct SshOption {
  std::string id;
  std::string socket;             ///< of a running agent; or:
  std::vector<std::string> keys;  ///< private key files
};

/// Throws Error(usage). Without a path it is the agent of $SSH_AUTH_SOCK.
SshOption parse_ssh(const std::string& text);

/// The agents' sockets. For key files an ssh-agent(1) of our own is started, which holds them in
/// memory only and ends with this object, or with this process however that dies.
class SshAgents {
 public:
  /// May ask for passphrases on the terminal. Throws Error.
  explicit SshAgents(const std::vector<SshOption>& options);
  ~SshAgents();
  SshAgents(const SshAgents&) = delete;
  SshAgents& operator=(const SshAgents&) = delete;

  const std::map<std::string, std::string>& sockets() const { return sockets_; }

 private:
  class Agent;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::map<std::string, std::string> sockets_;
};

}  // namespace lade
