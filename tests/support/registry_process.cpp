#include "tests/support/registry_process.hpp"

#include <chrono>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/sockets.hpp"

namespace lade::test {
namespace {

constexpr const char* kProgram = "/usr/bin/docker-registry";
constexpr int kAttempts = 3;

bool listens(const std::string& host) {
  try {
    return static_cast<bool>(connected_socket(host));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void run_command(const std::string& command, const std::string& log) {
  if (std::system(fmt::format("{} > '{}' 2>&1", command, log).c_str()) != 0) {
    throw Error(fmt::format("{}: {}", command, sys::read_file(log).value_or("no output")));
  }
}

bool RegistryProcess::available() {
  return ::access(kProgram, X_OK) == 0 && ::access("/usr/bin/skopeo", X_OK) == 0;
}

RegistryProcess::RegistryProcess(bool tls, const std::string& extra)
    : dir_(TempDir::create(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp")) {
  // Somebody else may take the port between our look and the registry's bind.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (start(tls, extra)) return;
  }
  throw Error("docker-registry did not start: " +
              sys::read_file(dir_.path() + "/log").value_or("no log"));
}

RegistryProcess::~RegistryProcess() {
  stop();
}

bool RegistryProcess::start(bool tls, const std::string& extra) {
  const int port = free_port();
  host_ = fmt::format("127.0.0.1:{}", port);
  const std::string& dir = dir_.path();
  std::string config = fmt::format(
      "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n"
      "storage:\n  filesystem: {{rootdirectory: {}/data}}\n  delete: {{enabled: true}}\n"
      "http:\n  addr: {}\n",
      dir, host_);
  if (tls) {
    run_command(fmt::format("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
                            "-keyout {0}/key.pem -out {0}/cert.pem",
                            dir),
                dir + "/openssl-log");
    config += fmt::format("  tls: {{certificate: {0}/cert.pem, key: {0}/key.pem}}\n", dir);
  }
  sys::write_file_atomically(dir + "/config.yml", config + extra);
  const std::string config_path = dir + "/config.yml";
  const std::string log = dir + "/log";
  const char* const arguments[] = {kProgram, "serve", config_path.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int error =
      posix_spawn(&pid_, kProgram, &actions, nullptr, const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw Error::from_errno(error, kProgram);
  for (int i = 0; i < 400; ++i) {
    if (listens(host_)) return true;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  stop();
  return false;
}

void RegistryProcess::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RegistryProcess::push(const std::string& layout, const std::string& name) const {
  run_command(fmt::format("skopeo copy --insecure-policy --all --dest-tls-verify=false 'oci:{}' "
                          "'docker://{}/{}'",
                          layout, host_, name),
              dir_.path() + "/skopeo-log");
}

}  // namespace lade::test
