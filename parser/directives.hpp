// The `# syntax=...` and `# check=...` lines at the top of a file, found before anything is parsed:
// they say who parses it, and how strictly.
//
// BuildKit reads them apart from the rest, with slightly other rules: a first line "#!..." is
// stepped over, and blanks in front of the "#" end the search.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/source_range.hpp"
#include "parser/ast.hpp"

namespace lade::parser {

/// The directive `key` of `file`; never throws. `comment` is what its line begins with ("//" in
/// files of other frontends).
std::optional<Directive> find_directive(const std::shared_ptr<const SourceFile>& file,
                                        std::string_view key, std::string_view comment = "#");

/// Up to the first blank: what counts of a directive's value.
std::string_view first_word(std::string_view value);

/// The position behind a byte order mark.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace lade::parser
