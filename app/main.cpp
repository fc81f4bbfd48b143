// lade: an image builder for Dockerfiles.
#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "app/commands.hpp"
#include "app/ui/interrupts.hpp"
#include "app/ui/print_error.hpp"
#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/kernel.hpp"
#include "base/shown_text.hpp"
#include "base/standard_streams.hpp"
#include "base/text.hpp"
#include "base/user_namespace.hpp"
#include "snapshotter/state.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

/// `command`: set as soon as it is known.
int run(const std::vector<std::string>& words, const lade::Command*& command) {
  lade::CommandLine app(lade::program_description(), "lade");
  lade::Globals globals;
  lade::add_global_options(app, globals);
  app.set_summary(lade::commands_help());
  app.set_footer("Run 'lade COMMAND --help' for more information on a command.");
  // Only the command that is named gets its options made.
  app.stop_at_first_word();
  if (!app.parse(words)) return 0;
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  command = lade::find_command(rest[0]);
  if (!command) lade::throw_unknown_command(rest[0]);
  lade::CommandAction action;
  lade::CommandLine& line = app.add_subcommand(command->name, command->summary);
  command->add(line, globals, action);
  if (!line.parse({rest.begin() + 1, rest.end()})) return 0;
  if (command->has_state && ::geteuid() != 0) {
    globals.root = lade::StateDir::default_root(globals.root);  // while it is known whose it is
    lade::become_root_of_namespace();
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  lade::fill_standard_streams();
  // A reader that went away is an error of one write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  const lade::Command* command = nullptr;
  try {
    lade::require_kernel();
    if (lade::base_name(argv[0]) == "buildkitd") {
      lade::execute_daemon(argv[0], {argv + 1, argv + argc});
    }
    return run({argv + 1, argv + argc}, command);
  } catch (const lade::Error& error) {
    lade::print_error(error);
    if (const int code = lade::interrupted_exit_code(); code != 0) return code;
    if (command && command->failure != 0) return command->failure;
    return error.kind() == lade::ErrorKind::usage ? kUsage : kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ERROR: {}\n", lade::elided(error.what()));
    return command && command->failure != 0 ? command->failure : kFailed;
  }
}
