// What commands share in reading their flags.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "snapshotter/content/reference.hpp"

namespace CLI {
class App;
}

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

/// An image's name as a word of the command line. Throws Error(usage).
Reference parse_image_argument(const std::string& text);
/// The same for a name that is to be given; `no_digest` is what is wrong with one by digest.
Reference parse_new_name(const std::string& text,
                         const char* no_digest = "an image cannot be named by a digest");

/// An option that may be given several times, with one value each time.
void add_list(CLI::App& command, const char* name, std::vector<std::string>& values,
              const char* description);

}  // namespace lade
