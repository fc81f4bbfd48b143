#pragma once

#include "app/ui/command.hpp"

namespace lade {

/// What packages are made with: `lade __man-pages DIRECTORY` writes a page for each command.
void add_man_pages_command(CommandLine& command, const Globals& globals, CommandAction& action);

}  // namespace lade
