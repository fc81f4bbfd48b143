// Finding and executing a step's command, with the words and exit codes people know from Docker.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

namespace lade::sandbox {

/// A command that cannot be run; `exit_code` is 127 (not found) or 126 (not executable).
class CommandError : public Error {
 public:
  CommandError(std::string message, int exit_code)
      : Error(std::move(message)), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

/// Replaces the process by args[0], which is looked up in the PATH of `env` unless it has a slash.
/// Returns only by throwing CommandError.
[[noreturn]] void execute_command(const std::vector<std::string>& args,
                                  const std::vector<std::string>& env);

}  // namespace lade::sandbox
