// lade: an image builder for Dockerfiles.
#include <csignal>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/interrupts.hpp"
#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/standard_streams.hpp"
#include "base/text.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr const char* kDescription = "Builds container images from Dockerfiles, and runs them";

/// The first argument that is no global option (of which --root alone has a value); null if there
/// is none.
const char* named_command(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') return argv[i];
    if (std::strcmp(argv[i], "--root") == 0) ++i;
  }
  return nullptr;
}

/// Help of lade as a whole; a command's own is made of its options.
std::string overall_help(const lade::CommandLine& line) {
  std::string out = fmt::format("Usage: lade [OPTIONS] COMMAND\n\n{}\n{}\nOptions:\n", kDescription,
                                lade::commands_help());
  for (const auto& option : line.options()) {
    out += fmt::format("  {:<14}  {}\n", option.names + (option.has_value ? " DIR" : ""),
                       option.description);
  }
  return out + "\nRun 'lade COMMAND --help' for more information on a command.\n";
}

int run(int argc, char** argv, const lade::Command* command) {
  lade::CommandLine app(kDescription, "lade");
  app.set_help([&] { return overall_help(app); });
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", "lade " LADE_VERSION, "Print the version");
  app.require_subcommand();
  lade::Globals globals;
  app.add_option("--root", globals.root,
                 "State directory (default: $LADE_ROOT, /var/lib/lade, or $XDG_DATA_HOME/lade)");
  lade::CommandAction action;
  if (command) {
    command->add(app.add_subcommand(command->name, command->summary), globals, action);
  } else if (argc == 1) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  try {
    if (!app.parse(argc, argv)) return 0;
  } catch (const lade::CommandLineError& error) {
    fmt::print(stderr, "{}", error.report());
    return command && command->failure != 0 ? command->failure : kUsage;
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
    if (lade::base_name(argv[0]) == "buildkitd") {
      lade::execute_daemon(argv[0], {argv + 1, argv + argc});
    }
    if (const char* name = named_command(argc, argv)) {
      command = lade::find_command(name);
      if (!command) lade::throw_unknown_command(name);
    }
    return run(argc, argv, command);
  } catch (const lade::Error& error) {
    lade::print_error(error);
    if (const int code = lade::interrupted_exit_code(); code != 0) return code;
    if (command && command->failure != 0) return command->failure;
    return error.kind() == lade::ErrorKind::usage ? kUsage : kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ERROR: {}\n", error.what());
    return command && command->failure != 0 ? command->failure : kFailed;
  }
}
