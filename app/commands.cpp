#include "app/commands.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {

const char* program_description() {
  return "Builds container images from Dockerfiles, and runs them";
}

void add_global_options(CommandLine& app, Globals& globals) {
  app.set_usage("[OPTIONS] COMMAND");
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", "lade " LADE_VERSION, "Print the version");
  app.add_option("--root", globals.root,
                 "State directory (default: $LADE_ROOT, /var/lib/lade, or $XDG_DATA_HOME/lade)")
      .inherited();
}

const Command* find_command(const std::string& name) {
  const auto commands = all_commands();
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const Command& command) { return command.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

std::string commands_help() {
  size_t width = 0;
  for (const auto& command : all_commands()) {
    if (command.group != CommandGroup::hidden) {
      width = std::max(width, std::string(command.name).size());
    }
  }
  const auto section = [&](const char* title, CommandGroup group) {
    std::string out;
    for (const auto& command : all_commands()) {
      if (command.group != group) continue;
      out += fmt::format("  {:<{}}  {}\n", command.name, width, command.summary);
    }
    return out.empty() ? out : fmt::format("\n{}:\n{}", title, out);
  };
  return section("Common Commands", CommandGroup::common) +
         section("Management Commands", CommandGroup::management) +
         section("Commands", CommandGroup::other);
}

void throw_unknown_command(const std::string& name) {
  Error error("there is no command " + lade::quoted(name), ErrorKind::usage);
  std::vector<std::string> names;
  for (const auto& command : all_commands()) {
    if (command.group != CommandGroup::hidden) names.emplace_back(command.name);
  }
  const std::string meant = nearest(name, names);
  error.set_hint(meant.empty() ? "lade --help lists the commands"
                               : fmt::format("did you mean lade {}?", meant));
  throw error;
}

}  // namespace lade
