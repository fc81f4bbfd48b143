// What is wrong with what was asked for: errors that name the option.
#pragma once

#include <string>
#include <utility>

#include "base/error.hpp"

namespace lade {

/// Throws the Error(usage).
[[noreturn]] void throw_usage(const std::string& message, std::string hint = {});

/// Errors of `parse` are the command line's, and name the option.
template <class Parse>
auto of_option(const std::string& option, Parse parse) {
  try {
    return parse();
  } catch (Error& error) {
    error.set_kind(ErrorKind::usage);
    if (!error.message().starts_with(option)) error.add_context(option);
    throw;
  }
}

/// "KEY=VALUE" in two; throws Error(usage) naming `option`.
std::pair<std::string, std::string> key_value(const char* option, const std::string& text);

}  // namespace lade
