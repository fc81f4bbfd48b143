#pragma once

#include "app/ui/command.hpp"

namespace lade {

void add_du_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_history_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_images_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_import_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_inspect_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_login_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_logout_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_pull_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_push_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_load_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_manifest_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_prune_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_rmi_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_save_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_tag_command(CommandLine& command, const Globals& globals, CommandAction& action);

}  // namespace lade
