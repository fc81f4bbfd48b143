// What a test's body throws, as text.
#pragma once

#include <string>

#include "base/error.hpp"

namespace lade {

/// As a user reads it: place, message and hint; "" if `body` threw no Error.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    std::string text = error.message();
    if (error.range()) text = to_string(*error.range()) + ": " + text;
    if (!error.hint().empty()) text += "\nhint: " + error.hint();
    return text;
  }
  return {};
}

}  // namespace lade
