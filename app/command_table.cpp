// Which commands there are. To be added here, and nowhere else.
#include <span>

#include "app/build/commands.hpp"
#include "app/commands.hpp"
#include "app/completion.hpp"
#include "app/image/commands.hpp"
#include "app/man_pages.hpp"
#include "app/run/commands.hpp"

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

    {"completion", "Print completions for a shell", CommandGroup::other, add_completion_command, 0,
     false},
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

    {"__complete", "Say what could stand at the end of a command line", CommandGroup::hidden,
     add_complete_command, 0, false},
    {"__man-pages", "Write manual pages", CommandGroup::hidden, add_man_pages_command, 0, false},
};

}  // namespace

std::span<const Command> all_commands() {
  return kCommands;
}

}  // namespace lade
