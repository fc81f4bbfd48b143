#include "app/commands.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "app/build/commands.hpp"
#include "app/image/commands.hpp"
#include "app/run/commands.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr int kRunFailed = 125;  // as docker run; what runs has the other codes for itself

constexpr Command kCommands[] = {
    {"run", "Run a command in a container of an image", CommandGroup::common, add_run_command,
     kRunFailed},
    {"build", "Build an image from a Dockerfile", CommandGroup::common, add_build_command},
    {"pull", "Bring an image here from a registry", CommandGroup::common, add_pull_command},
    {"push", "Bring an image to a registry", CommandGroup::common, add_push_command},
    {"images", "List images", CommandGroup::common, add_images_command},
    {"login", "Keep credentials for a registry", CommandGroup::common, add_login_command, 0, false},
    {"logout", "Forget the credentials for a registry", CommandGroup::common, add_logout_command, 0,
     false},

    {"manifest", "Manage indexes of images", CommandGroup::management, add_manifest_command},

    {"daemon", "Build for clients of BuildKit: docker buildx, buildctl", CommandGroup::other,
     add_daemon_command, 0, false},
    {"du", "Show what takes how much room", CommandGroup::other, add_du_command},
    {"explain", "Say why the steps of the last build were cached or ran", CommandGroup::other,
     add_explain_command},
    {"history", "Show the history of an image", CommandGroup::other, add_history_command},
    {"import", "Make a base image of a root filesystem tar", CommandGroup::other,
     add_import_command},
    {"inspect", "Show what is known of images", CommandGroup::other, add_inspect_command},
    {"load", "Load images from an archive", CommandGroup::other, add_load_command},
    {"prune", "Remove what is not needed", CommandGroup::other, add_prune_command},
    {"rmi", "Remove images", CommandGroup::other, add_rmi_command},
    {"save", "Save images to an archive", CommandGroup::other, add_save_command},
    {"tag", "Give an image another name", CommandGroup::other, add_tag_command},
};

}  // namespace

std::span<const Command> all_commands() {
  return kCommands;
}

const Command* find_command(const std::string& name) {
  const auto* found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                   [&](const Command& command) { return command.name == name; });
  return found == std::end(kCommands) ? nullptr : found;
}

std::string commands_help() {
  size_t width = 0;
  for (const auto& command : kCommands) width = std::max(width, std::string(command.name).size());
  const auto section = [&](const char* title, CommandGroup group) {
    std::string out;
    for (const auto& command : kCommands) {
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
  for (const auto& command : kCommands) names.emplace_back(command.name);
  const std::string meant = nearest(name, names);
  error.set_hint(meant.empty() ? "lade --help lists the commands"
                               : fmt::format("did you mean lade {}?", meant));
  throw error;
}

}  // namespace lade
