#include "app/flags.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace lade {

void throw_usage(const std::string& message, std::string hint) {
  Error error(message, ErrorKind::usage);
  error.set_hint(std::move(hint));
  throw error;
}

std::pair<std::string, std::string> key_value(const char* option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw_usage(fmt::format("{}: {} is not of the form KEY=VALUE", option, lade::quoted(text)));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Reference parse_image_argument(const std::string& text) {
  try {
    return Reference::parse(text);
  } catch (Error& error) {
    error.set_kind(ErrorKind::usage);
    throw;
  }
}

Reference parse_new_name(const std::string& text, const char* no_digest) {
  Reference name = parse_image_argument(text);
  if (name.digest) throw_usage(no_digest);
  return name;
}

void add_list(CLI::App& command, const char* name, std::vector<std::string>& values,
              const char* description) {
  command.add_option(name, values, description)->allow_extra_args(false);
}

}  // namespace lade
