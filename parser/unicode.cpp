#include "parser/unicode.hpp"

#include <boost/spirit/home/support/char_encoding/unicode/query.hpp>

#include "base/utf8.hpp"

namespace lade::parser {
namespace {

namespace ucd = boost::spirit::ucd;

// Boost's tables end with the last code point, and bytes that are no UTF-8 come as larger numbers.
bool is_code_point(char32_t c) {
  return c < 0x110000;
}

}  // namespace

bool is_space(char32_t c) {
  if (c < 0x80) return c == U' ' || (c >= U'\t' && c <= U'\r');
  return is_code_point(c) && ucd::is_white_space(c);
}

bool is_letter(char32_t c) {
  if (c < 0x80) return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
  return is_code_point(c) && ucd::get_major_category(c) == ucd::properties::letter;
}

bool is_digit(char32_t c) {
  if (c < 0x80) return c >= U'0' && c <= U'9';
  return is_code_point(c) && ucd::is_decimal_number(c);
}

std::string_view trim_space_left(std::string_view text) {
  while (!text.empty()) {
    const auto c = decode_utf8(text, 0);
    if (!is_space(c.code)) break;
    text.remove_prefix(c.size);
  }
  return text;
}

std::string_view trim_space(std::string_view text) {
  text = trim_space_left(text);
  while (!text.empty()) {
    // Back to the start of the last character.
    size_t at = text.size() - 1;
    while (at > 0 && text.size() - at < 4 && (text[at] & 0xc0) == 0x80) --at;
    const auto c = decode_utf8(text, at);
    if (at + c.size != text.size() || !is_space(c.code)) break;
    text.remove_suffix(c.size);
  }
  return text;
}

}  // namespace lade::parser
