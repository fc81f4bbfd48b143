// The patterns inside `${v#pattern}`, `${v%pattern}` and `${v/pattern/text}`: `*` and `?`, no
// classes.
// `*` and `?` stop at line ends. Time is proportional to pattern size times value size.
#pragma once

#include <string>
#include <string_view>

namespace lade::parser {

enum class Extent { shortest, longest };

/// `value` without the part at its start that matches. Throws Error for an escape that means
/// nothing.
std::string remove_prefix(std::string_view value, std::string_view pattern, Extent extent);
std::string remove_suffix(std::string_view value, std::string_view pattern, Extent extent);

/// `value` with the first, or with every longest match replaced.
std::string replace(std::string_view value, std::string_view pattern, std::string_view replacement,
                    bool all);

}  // namespace lade::parser
