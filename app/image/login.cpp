// `lade login` and `lade logout`: credentials in Docker's config.json.
#include <cstdio>

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "app/ui/flags.hpp"
#include "base/error.hpp"
#include "base/stream.hpp"
#include "base/text.hpp"
#include "registry/auth/credential_store.hpp"
#include "registry/client.hpp"

namespace lade {
namespace {

constexpr const char* kDockerHub = "docker.io";
constexpr uint64_t kMaxPassword = 64 * 1024;
constexpr char kInterrupt = 0x03;

struct LoginFlags {
  std::string registry = kDockerHub;
  std::string user;
  std::string password;
  bool password_stdin = false;
};

std::string check_registry(const std::string& text) {
  std::string registry = registry_of_key(text);
  if (registry.empty() || registry.find('/') != std::string::npos) {
    throw_usage(fmt::format("{} is not a registry (host or host:port)", lade::quoted(text)));
  }
  return registry;
}

/// The terminal without echo, and with ^C as a character: a signal would leave it like this.
class SilentTerminal {
 public:
  SilentTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) throw_errno("could not ask the terminal");
    struct termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() { ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_); }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  struct termios before_ = {};
};

std::string read_line(const char* prompt) {
  fmt::print(stderr, "{}", prompt);
  std::string line;
  char c = 0;
  while (::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') {
    if (c == kInterrupt) throw Error("canceled", ErrorKind::canceled);
    line += c;
  }
  return std::string(trim(line));
}

std::string read_secret(const char* prompt) {
  std::string line;
  {
    const SilentTerminal terminal;
    line = read_line(prompt);
  }
  fmt::print(stderr, "\n");
  return line;
}

Credentials read_credentials(const LoginFlags& flags) {
  Credentials out;
  out.user = flags.user;
  out.password = flags.password;
  if (flags.password_stdin) {
    if (!flags.password.empty()) throw_usage("--password and --password-stdin exclude each other");
    if (flags.user.empty()) throw_usage("--password-stdin needs --username");
    FdSource input(STDIN_FILENO);
    out.password = read_all(input, kMaxPassword, "the password");
    while (out.password.ends_with('\n') || out.password.ends_with('\r')) out.password.pop_back();
  } else if (!flags.password.empty()) {
    fmt::print(stderr,
               "WARNING: others on this machine can see --password; use --password-stdin\n");
  }
  if ((out.user.empty() || out.password.empty()) && !flags.password_stdin) {
    if (::isatty(STDIN_FILENO) != 1) {
      throw_usage("standard input is not a terminal: give --username and --password-stdin");
    }
    if (out.user.empty()) out.user = read_line("Username: ");
    if (out.password.empty()) out.password = read_secret("Password: ");
  }
  if (out.user.empty() || out.password.empty()) throw_usage("login needs a user and a password");
  if (out.user.find(':') != std::string::npos) throw_usage("a user name has no colon in it");
  return out;
}

int run_login(const LoginFlags& flags) {
  const std::string registry = check_registry(flags.registry);
  const Credentials credentials = read_credentials(flags);
  const RegistryFiles files = RegistryFiles::of_user();
  const Credentials kept = RegistryClient::create({.files = files})->login(registry, credentials);
  const std::string place = store_credentials(files.docker_config, registry, kept);
  fmt::print(stderr, "the credentials are kept in {}\n", place);
  fmt::print("Login Succeeded\n");
  return 0;
}

int run_logout(const std::string& text) {
  const std::string registry = check_registry(text);
  const bool known = erase_credentials(RegistryFiles::of_user().docker_config, registry);
  if (known) {
    fmt::print("Removing login credentials for {}\n", registry);
  } else {
    fmt::print("Not logged in to {}\n", registry);
  }
  return 0;
}

}  // namespace

void add_login_command(CommandLine& command, const Globals&, CommandAction& action) {
  auto flags = std::make_shared<LoginFlags>();
  command.add_option("REGISTRY", flags->registry, "Host[:port] (default: docker.io)");
  command.add_option("-u,--username", flags->user, "User name");
  command.add_option("-p,--password", flags->password, "Password or token");
  command.add_flag("--password-stdin", flags->password_stdin,
                   "Read the password from standard input");
  command.callback([flags, &action] { action = [flags] { return run_login(*flags); }; });
}

void add_logout_command(CommandLine& command, const Globals&, CommandAction& action) {
  auto registry = std::make_shared<std::string>(kDockerHub);
  command.add_option("REGISTRY", *registry, "Host[:port] (default: docker.io)");
  command.callback([registry, &action] { action = [registry] { return run_logout(*registry); }; });
}

}  // namespace lade
