// Decoding UTF-8 one character at a time, where names and texts may hold any bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace lade {

/// Marks a byte that is not part of valid UTF-8: kInvalidByte + byte. Above every code point, so
/// that such bytes compare equal only to themselves.
inline constexpr char32_t kInvalidByte = 0x200000;

struct Utf8Char {
  char32_t code = 0;
  size_t size = 1;  ///< bytes
};

/// The character at `text[at]`; `at` must be inside. Overlong forms and surrogates are invalid.
constexpr Utf8Char decode_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80) return {lead, 1};
  const Utf8Char invalid{kInvalidByte + lead, 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - at < size) return invalid;
  char32_t code = lead & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return invalid;
    code = code << 6 | (byte(at + i) & 0x3fu);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    return invalid;
  }
  return {code, size};
}

}  // namespace lade
