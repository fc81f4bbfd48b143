// Standard base64 (RFC 4648, 4), as HTTP's Basic authentication wants it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lade {

inline std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t block = 0;
    for (size_t k = 0; k < 3; ++k) {
      block = block << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[block >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

}  // namespace lade
