// The modes of COPY --chmod: octal, or symbolic as chmod(1) has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lade {

/// 0..07777 for a string of octal digits; nullopt if it is something else.
std::optional<uint32_t> octal_mode(std::string_view text);

/// `mode` changed as `text` says; `text` was checked by lowering.
uint32_t apply_mode(std::string_view text, uint32_t mode, bool directory);

}  // namespace lade
