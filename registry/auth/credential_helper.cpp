#include "registry/auth/credential_helper.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/json/json_writer.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "registry/auth/secret_json.hpp"

namespace lade {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxOutput = 256 * 1024;
constexpr size_t kMaxMessage = 300;
constexpr std::string_view kNotFound = "credentials not found";
/// The user name that says that the secret is an identity token.
constexpr std::string_view kTokenUser = "<token>";

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string find_program(const std::string& name, const std::string& path) {
  std::string directories = path;
  if (directories.empty()) {
    const char* value = std::getenv("PATH");
    directories = value ? value : "/usr/local/bin:/usr/bin:/bin";
  }
  for (const auto& directory : split(directories, ':')) {
    std::string program = directory + "/" + name;
    if (directory.starts_with('/') && ::access(program.c_str(), X_OK) == 0) return program;
  }
  Error error(fmt::format("the credential helper {} is not installed", quoted(name)),
              ErrorKind::not_found);
  error.set_hint("put it into a directory of PATH, or drop it from Docker's config.json");
  throw error;
}

/// A file in memory with `text`, read from its start.
UniqueFd memory_file(std::string_view text) {
  UniqueFd fd(::memfd_create("credentials", MFD_CLOEXEC));
  if (!fd) throw_errno("could not make a file in memory");
  sys::write_all(fd.get(), text);
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) throw_errno("could not rewind a file in memory");
  return fd;
}

/// A running helper with a process group of its own; killed with it unless it was waited for.
class Process {
 public:
  Process(const std::string& program, const char* verb, int input, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    sigset_t none;
    sigset_t usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::array<char*, 3> arguments = {const_cast<char*>(program.c_str()), const_cast<char*>(verb),
                                      nullptr};
    const int error =
        ::posix_spawn(&pid_, program.c_str(), &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw Error::from_errno(error, "could not run " + quoted(program));
    end_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Readable once it has ended.
  int end_fd() const { return end_.get(); }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = 0;
  UniqueFd end_;
};

}  // namespace

CredentialHelper::CredentialHelper(std::string name, HelperOptions options)
    : program_("docker-credential-" + name), options_(std::move(options)) {
  if (!is_plain_name(name)) {
    throw Error(fmt::format("{} is not a name of a credential helper", quoted(name)));
  }
}

CredentialHelper::Output CredentialHelper::run(const char* verb, std::string_view input) const {
  const std::string program = find_program(program_, options_.path);
  const UniqueFd in = memory_file(input);
  sys::Pipe out = sys::pipe();
  Process process(program, verb, in.get(), out.write.get());
  out.write.reset();
  const auto deadline = Clock::now() + options_.timeout;
  Output result{0, {}};
  // A helper may leave a daemon behind that keeps the pipe open: its own end is enough.
  for (bool open = true, ended = false; open && !ended;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd fds[2] = {{out.read.get(), POLLIN, 0}, {process.end_fd(), POLLIN, 0}};
    const int ready = ::poll(fds, 2, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready < 0 && errno != EINTR) throw_errno("could not wait for " + quoted(program));
    if (ready == 0) {
      throw Error(fmt::format("the credential helper {} did not answer within {:.0f} s",
                              quoted(program_),
                              std::chrono::duration<double>(options_.timeout).count()));
    }
    if (ready < 0) continue;
    ended = fds[0].revents == 0 && fds[1].revents != 0;
    if (fds[0].revents == 0) continue;
    char buffer[4096];
    const size_t count = sys::read_some(out.read.get(), buffer, sizeof buffer);
    open = count > 0;
    result.text.append(buffer, count);
    if (result.text.size() > kMaxOutput) {
      throw Error(
          fmt::format("the credential helper {} says more than it should", quoted(program_)));
    }
  }
  // The pipe's end may come before the process's.
  pollfd end = {process.end_fd(), POLLIN, 0};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  if (::poll(&end, 1, static_cast<int>(std::max<int64_t>(0, left.count()))) == 0) {
    throw Error(fmt::format("the credential helper {} does not end", quoted(program_)));
  }
  result.exit_code = process.wait();
  return result;
}

void CredentialHelper::fail(const char* verb, const Output& output) const {
  // What it says when it fails is a message, no secret (docker prints it, too).
  const std::string_view message = trim(output.text);
  throw Error(fmt::format("the credential helper {} could not {}: {}", quoted(program_), verb,
                          message.empty() ? fmt::format("it ended with {}", output.exit_code)
                                          : quoted(message.substr(0, kMaxMessage))));
}

std::optional<Credentials> CredentialHelper::get(const std::string& key) const {
  const Output output = run("get", key);
  if (output.exit_code != 0) {
    if (trim(output.text).starts_with(kNotFound)) return std::nullopt;
    fail("get", output);
  }
  const std::string name = "the answer of " + program_;
  require_json(output.text, name);
  const JsonDocument document(output.text, kMaxOutput, name);
  const JsonValue root = document.root();
  const std::string user = root["Username"].string_or_empty();
  const std::string secret = root["Secret"].string_or_empty();
  if (user.empty() && secret.empty()) return std::nullopt;
  Credentials out;
  if (user == kTokenUser) {
    out.identity_token = secret;
  } else {
    out.user = user;
    out.password = secret;
  }
  return out;
}

void CredentialHelper::store(const std::string& key, const Credentials& credentials) const {
  const bool token = !credentials.identity_token.empty();
  JsonWriter json;
  json.begin_object()
      .member("ServerURL", key)
      .member("Username", token ? std::string(kTokenUser) : credentials.user)
      .member("Secret", token ? credentials.identity_token : credentials.password)
      .end_object();
  const Output output = run("store", json.take());
  if (output.exit_code != 0) fail("store", output);
}

void CredentialHelper::erase(const std::string& key) const {
  const Output output = run("erase", key);
  if (output.exit_code != 0 && !trim(output.text).starts_with(kNotFound)) fail("erase", output);
}

}  // namespace lade
