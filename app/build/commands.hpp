#pragma once

#include "app/ui/command.hpp"

namespace lade {

void add_build_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_explain_command(CommandLine& command, const Globals& globals, CommandAction& action);

}  // namespace lade
