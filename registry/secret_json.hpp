// JSON that holds secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lade {

/// Throws Error(corrupt) that says nothing of the text unless it is JSON: JsonDocument's messages
/// quote what they could not read. To be called before it.
void require_json(std::string_view text, const std::string& name);

}  // namespace lade
