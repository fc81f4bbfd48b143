#include "app/build/ssh_agents.hpp"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

// The agent goes when this shell does, and the shell when its standard input ends: with us, however
// we end. So it is also the one that removes the socket's directory.
constexpr const char* kKeeper = R"(echo "$SSH_AGENT_PID"; cat >/dev/null; kill "$SSH_AGENT_PID"
rm -f "$SSH_AUTH_SOCK"; rmdir "${SSH_AUTH_SOCK%/*}")";

/// Starts `args` with `input` and `output` in place of its own; -1 keeps ours.
pid_t spawn(const std::vector<std::string>& args, int input, int output,
            const std::vector<std::string>& env) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
  };
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, args[0].c_str(), &actions, nullptr,
                                     pointers(args).data(), pointers(env).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure == 0) return pid;
  errno = failure;
  if (failure != ENOENT) throw_errno("could not run " + args[0]);
  Error error("--ssh with a key file needs " + args[0], ErrorKind::not_found);
  error.set_hint("install the package openssh-client, or lend a running agent's socket");
  throw error;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw_errno("could not wait for a process");
  }
  return status;
}

std::vector<std::string> environment() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) out.emplace_back(*entry);
  return out;
}

}  // namespace

class SshAgents::Agent {
 public:
  explicit Agent(const std::vector<std::string>& keys) {
    const std::string tmp = sys::getenv("TMPDIR");
    directory_ = TempDir::create(tmp.empty() ? "/tmp" : tmp, "lade-ssh-");
    start();
    std::vector<std::string> env = environment();
    std::erase_if(env, [](const auto& entry) { return entry.starts_with("SSH_AUTH_SOCK="); });
    env.push_back("SSH_AUTH_SOCK=" + socket());
    for (const auto& key : keys) {
      if (wait_for(spawn({"ssh-add", "-q", key}, -1, STDERR_FILENO, env)) != 0) {
        throw Error("--ssh: the key " + lade::quoted(key) + " could not be added to the agent");
      }
    }
  }
  ~Agent() {
    life_.reset();
    if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
  }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  std::string socket() const { return directory_.path() + "/agent"; }

 private:
  /// Returns once the agent listens.
  void start() {
    sys::Pipe input = sys::pipe();
    sys::Pipe output = sys::pipe();
    keeper_ = spawn({"ssh-agent", "-a", socket(), "sh", "-c", kKeeper}, input.read.get(),
                    output.write.get(), environment());
    life_ = std::move(input.write);
    output.write.reset();
    char first = 0;
    if (sys::read_some(output.read.get(), &first, 1) == 0) {
      throw Error("--ssh: ssh-agent did not start");
    }
  }

  TempDir directory_;
  UniqueFd life_;  // the keeper's standard input
  pid_t keeper_ = 0;
};

SshOption parse_ssh(const std::string& text) {
  const auto equals = text.find('=');
  SshOption option;
  option.id = text.substr(0, equals);
  if (option.id.empty()) {
    throw Error(lade::quoted(text) + " has no id: write ID or ID=PATH", ErrorKind::usage);
  }
  std::vector<std::string> paths;
  if (equals != std::string::npos) {
    paths = split(text.substr(equals + 1), ',');
  } else if (const auto running = sys::getenv("SSH_AUTH_SOCK"); !running.empty()) {
    paths = {running};
  } else {
    Error error("there is no ssh agent to lend: SSH_AUTH_SOCK is not set", ErrorKind::usage);
    error.set_hint("start one, or name a key: --ssh " + option.id + "=KEYFILE");
    throw error;
  }
  for (const auto& path : paths) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) throw_errno("could not open " + lade::quoted(path));
    if (!S_ISSOCK(info.st_mode)) {
      option.keys.push_back(path);
    } else if (paths.size() > 1) {
      throw Error("only one agent's socket can stand behind an id", ErrorKind::usage);
    } else {
      option.socket = path.starts_with('/') ? path : join_path(sys::current_directory(), path);
    }
  }
  return option;
}

SshAgents::SshAgents(const std::vector<SshOption>& options) {
  for (const auto& option : options) {
    std::string socket = option.socket;
    if (socket.empty()) {
      agents_.push_back(std::make_unique<Agent>(option.keys));
      socket = agents_.back()->socket();
    }
    if (!sockets_.emplace(option.id, socket).second) {
      throw Error("--ssh gives " + lade::quoted(option.id) + " twice", ErrorKind::usage);
    }
  }
}

SshAgents::~SshAgents() = default;

}  // namespace lade
