#include "app/flags.hpp"

#include <CLI/CLI.hpp>

namespace lade {

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
