// The commands of the command line, and the table of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/ui/command.hpp"

namespace lade {

const char* program_description();
/// The options that stand before a command.
void add_global_options(CommandLine& app, Globals& globals);

/// All commands, in the order of the help; then those that are not for people.
std::span<const Command> all_commands();

/// Null if there is none of that name.
const Command* find_command(const std::string& name);

/// What `lade --help` prints between the usage line and the options.
std::string commands_help();

/// Throws the Error(usage) for a command that there is not.
[[noreturn]] void throw_unknown_command(const std::string& name);

void add_daemon_command(CommandLine& command, const Globals& globals, CommandAction& action);

/// The daemon takes this process' place, as `name`. Throws Error if it cannot be executed.
[[noreturn]] void execute_daemon(const std::string& name, const std::vector<std::string>& args);

}  // namespace lade
