// JSON that holds secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lade {

/// Throws Error(corrupt) that says nothing of the text but where it stops being JSON. To be called
/// before JsonDocument, whose messages name fields.
void require_json(std::string_view text, const std::string& name);

}  // namespace lade
