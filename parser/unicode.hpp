// The character classes of Dockerfiles, which are Unicode's: BuildKit reads them with Go's
// `unicode`.
#pragma once

#include <string_view>

namespace lade::parser {

bool is_space(char32_t c);
bool is_letter(char32_t c);
bool is_digit(char32_t c);  ///< decimal digits of any script

std::string_view trim_space_left(std::string_view text);
std::string_view trim_space(std::string_view text);

}  // namespace lade::parser
