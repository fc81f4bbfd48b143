#include "builder/options/usage.hpp"

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

}  // namespace lade
