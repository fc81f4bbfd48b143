// The commands of the command line, one file each, and the table of them.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/command_line.hpp"

namespace lade {

class Error;

/// What all commands share.
struct Globals {
  std::string root;  ///< --root; empty: the default
};

/// What a command does once its options are parsed; returns the exit code, throws Error.
using CommandAction = std::function<int()>;

/// Where `lade --help` lists a command, as docker's does.
enum class CommandGroup { common, management, other };

struct Command {
  const char* name;
  const char* summary;
  CommandGroup group;
  /// Adds the options of `command`; when that is chosen, `action` is set to what it does. Called
  /// for the one command that the command line names.
  void (*add)(CommandLine& command, const Globals& globals, CommandAction& action);
  /// Exit code of every error; 0: 1, and 2 where the command line is wrong.
  int failure = 0;
  /// Works with the state directory, whose files belong to many users.
  bool has_state = true;
};

/// All commands, in the order of the help.
std::span<const Command> all_commands();

/// Null if there is none of that name.
const Command* find_command(const std::string& name);

/// What `lade --help` prints between the usage line and the options.
std::string commands_help();

/// Throws the Error(usage) for a command that there is not.
[[noreturn]] void throw_unknown_command(const std::string& name);

void add_build_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_daemon_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_explain_command(CommandLine& command, const Globals& globals, CommandAction& action);
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
void add_run_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_save_command(CommandLine& command, const Globals& globals, CommandAction& action);
void add_tag_command(CommandLine& command, const Globals& globals, CommandAction& action);

/// The daemon takes this process' place, as `name`. Throws Error if it cannot be executed.
[[noreturn]] void execute_daemon(const std::string& name, const std::vector<std::string>& args);

/// Prints an Error as people should see it: excerpt of the file, message, hint.
void print_error(const Error& error);

}  // namespace lade
