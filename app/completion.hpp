// What a shell offers when somebody presses Tab in a command line of lade's.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/ui/command.hpp"

namespace lade {

struct Completion {
  enum class Paths { none, files, directories };

  /// Words that begin with what is there so far, with what they mean; in the order of --help.
  std::vector<std::pair<std::string, std::string>> words;
  Paths paths = Paths::none;  ///< the shell's own completion of paths is wanted, too
  bool is_partial = false;    ///< a word goes on: no blank after it ("--build-arg VERSION=")
};

/// Of the last of `words`, which begin with the program's name. Never throws for what cannot be
/// read (a Dockerfile, a state directory): then there is nothing to offer.
Completion complete(const std::vector<std::string>& words);

/// The words of a line as a shell sees them, as far as quotes and backslashes go; the last one is
/// what the cursor stands in, and may be empty.
std::vector<std::string> split_line(const std::string& line);

/// `lade completion`: prints a shell's script.
void add_completion_command(CommandLine& command, const Globals& globals, CommandAction& action);
/// What the scripts call: `lade __complete line TEXT` or `lade __complete words WORD...`. Prints
/// each word with a tab and its meaning, then ":files", ":directories" or ":partial".
void add_complete_command(CommandLine& command, const Globals& globals, CommandAction& action);

}  // namespace lade
