// `lade run`: an image's command in the sandbox that RUN has, in the foreground.
#include <unistd.h>

#include "app/run/commands.hpp"
#include "app/run/container.hpp"
#include "app/run/run_plan.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

int run_container(const Globals& globals, const RunFlags& flags,
                  const std::vector<std::string>& words) {
  const RunRequest request = check_run_flags(flags, words);
  if (request.terminal && request.interactive && ::isatty(STDIN_FILENO) == 0) {
    Error error("-t with -i: standard input is not a terminal", ErrorKind::usage);
    error.set_hint("drop -t to pass a file or a pipe on");
    throw error;
  }
  const std::string root = StateDir::default_root(globals.root);
  // Before anything starts a thread: the process that makes sandboxes is forked off this one.
  std::unique_ptr<Executor> executor = Executor::create({.network = request.network_reach});
  SignalRelay signals;
  const auto state = StateDir::open(root);
  const RunImage image = find_run_image(*state, request);
  state->layers().write_use();
  PreparedExec prepared = prepare_run(*state, request, image);
  return run_in_foreground(std::move(executor), std::move(prepared.spec), request, signals);
}

}  // namespace

void add_run_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<RunFlags>();
  add_run_flags(command, *flags);
  command.callback([flags, &command, &globals, &action] {
    action = [flags, &command, &globals] {
      return run_container(globals, *flags, command.remaining());
    };
  });
}

}  // namespace lade
