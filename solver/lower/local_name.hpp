// What the source of a named context that is a directory is called.
#pragma once

#include <string>
#include <string_view>

#include "base/text.hpp"

namespace lade {

/// "context" is the main one, also where somebody calls a named one that. Case does not
/// matter.
inline std::string local_name(std::string_view named_context) {
  std::string name = to_lower(named_context);
  return name == "context" ? "_context" : name;
}

}  // namespace lade
