// lade: an image builder for Dockerfiles.
#include <csignal>
#include <cstdio>
#include <cstring>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

/// The first argument that is no global option (of which --root alone has a value); null if there
/// is none.
const char* named_command(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') return argv[i];
    if (std::strcmp(argv[i], "--root") == 0) ++i;
  }
  return nullptr;
}

/// Help of lade as a whole; a command's own is CLI11's.
class OverallHelp : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    if (app->get_parent() != nullptr) return Formatter::make_help(app, name, mode);
    return "Usage: lade [OPTIONS] COMMAND\n\n" + app->get_description() + "\n" +
           lade::commands_help() + "\nOptions:\n" + options(*app) +
           "\nRun 'lade COMMAND --help' for more information on a command.\n";
  }

 private:
  static std::string options(const CLI::App& app) {
    std::string out;
    for (const auto* option : app.get_options()) {
      const bool has_value = option->get_items_expected_max() > 0;
      out +=
          fmt::format("  {:<14}  {}\n", option->get_name(false, true) + (has_value ? " DIR" : ""),
                      option->get_description());
    }
    return out;
  }
};

int run(int argc, char** argv, const lade::Command* command) {
  CLI::App app("Builds container images from Dockerfiles, and runs them", "lade");
  app.formatter(std::make_shared<OverallHelp>());
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", "lade " LADE_VERSION, "Print the version");
  app.require_subcommand(1);
  lade::Globals globals;
  app.add_option("--root", globals.root,
                 "State directory (default: $LADE_ROOT, /var/lib/lade, or $XDG_DATA_HOME/lade)");
  lade::CommandAction action;
  if (command) {
    command->add(*app.add_subcommand(command->name, command->summary), globals, action);
  } else if (argc == 1) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error, std::cout, std::cerr) == 0) return 0;
    return command && command->failure != 0 ? command->failure : kUsage;
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
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
    if (command && command->failure != 0) return command->failure;
    return error.kind() == lade::ErrorKind::usage ? kUsage : kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ERROR: {}\n", error.what());
    return command && command->failure != 0 ? command->failure : kFailed;
  }
}
