// What a command of the command line is.
#pragma once

#include <functional>
#include <string>

#include "base/command_line.hpp"

namespace lade {

/// What all commands share.
struct Globals {
  std::string root;  ///< --root; empty: the default
};

/// What a command does once its options are parsed; returns the exit code, throws Error.
using CommandAction = std::function<int()>;

/// Where `lade --help` lists a command, as docker's does.
enum class CommandGroup { common, management, other, hidden };

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

}  // namespace lade
