// lade: an image builder for Dockerfiles.
#include <csignal>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands.hpp"
#include "base/error.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int run(int argc, char** argv) {
  CLI::App app("lade builds container images from Dockerfiles", "lade");
  app.set_version_flag("--version", "lade " LADE_VERSION);
  app.require_subcommand(1);
  lade::Globals globals;
  app.add_option("--root", globals.root,
                 "state directory (default: $LADE_ROOT, /var/lib/lade, or $XDG_DATA_HOME/lade)");
  lade::CommandAction action;
  lade::add_build_command(app, globals, action);
  lade::add_explain_command(app, globals, action);
  lade::add_import_command(app, globals, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : kUsage;
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that went away is an error of one write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const lade::Error& error) {
    lade::print_error(error);
    return error.kind() == lade::ErrorKind::usage ? kUsage : kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ERROR: {}\n", error.what());
    return kFailed;
  }
}
