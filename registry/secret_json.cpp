#include "registry/secret_json.hpp"

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace lade {

void require_json(std::string_view text, const std::string& name) {
  if (!nlohmann::json::accept(text)) throw Error(name + " is not valid JSON", ErrorKind::corrupt);
}

}  // namespace lade
