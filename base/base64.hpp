// Standard base64 (RFC 4648, 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lade {

std::string base64(std::string_view bytes);

/// The bytes of `text`, whose padding may be missing; nullopt if it is no base64.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace lade
