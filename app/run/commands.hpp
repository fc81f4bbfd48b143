#pragma once

#include "app/ui/command.hpp"

namespace lade {

void add_run_command(CommandLine& command, const Globals& globals, CommandAction& action);

}  // namespace lade
