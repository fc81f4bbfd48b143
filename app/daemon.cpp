// `lade daemon`, and lade started under the name buildkitd: lade-daemon, which lies beside lade,
// takes its place. It is a program of its own because loading gRPC takes longer than a cached
// build.
#include <cerrno>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include "app/commands.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr const char* kProgram = "lade-daemon";

std::string own_directory() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0) throw_errno("could not find out where lade is");
  return dir_name(std::string_view(path, static_cast<size_t>(size)));
}

}  // namespace

void execute_daemon(const std::string& name, const std::vector<std::string>& args) {
  const std::string program = own_directory() + "/" + kProgram;
  std::vector<char*> argv = {const_cast<char*>(name.c_str())};
  for (const auto& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  Error error = Error::from_errno(errno, "could not run " + lade::quoted(program));
  error.set_hint("it is installed beside lade");
  throw error;
}

void add_daemon_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  // All that follows is the daemon's to understand, --help too.
  command.leave_unread();
  command.callback([&command, &globals, &action] {
    auto args = command.remaining();
    if (!globals.root.empty()) args.insert(args.begin(), {"--root", globals.root});
    action = [args]() -> int { execute_daemon(kProgram, args); };
  });
}

}  // namespace lade
