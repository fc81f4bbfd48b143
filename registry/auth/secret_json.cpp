#include "registry/auth/secret_json.hpp"

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json/json_reader.hpp"

namespace lade {

void require_json(std::string_view text, const std::string& name) {
  if (nlohmann::json::accept(text)) return;
  try {
    // Thrown for its place alone: the text of the exception quotes what was read.
    [[maybe_unused]] const auto read = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& problem) {
    Error error(name + " " + why_not_json(text, problem.byte), ErrorKind::corrupt);
    error.set_hint(not_json_hint(text));
    throw error;
  }
}

}  // namespace lade
