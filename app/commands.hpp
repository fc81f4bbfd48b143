// The commands of the command line, one file each.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace lade {

class Error;

/// What all commands share.
struct Globals {
  std::string root;  ///< --root; empty: the default
};

/// What a command does once its options are parsed; returns the exit code, throws Error.
using CommandAction = std::function<int()>;

/// Each adds its subcommand to `app`; when that is chosen, `action` is set to what it does.
void add_build_command(CLI::App& app, const Globals& globals, CommandAction& action);
void add_explain_command(CLI::App& app, const Globals& globals, CommandAction& action);
void add_import_command(CLI::App& app, const Globals& globals, CommandAction& action);

/// Prints an Error as people should see it: excerpt of the file, message, hint.
void print_error(const Error& error);

}  // namespace lade
