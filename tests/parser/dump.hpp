// A readable dump of the syntax tree, for golden files: one fact per line, defaults left out.
#pragma once

#include <string>
#include <string_view>

#include "parser/ast.hpp"
#include "parser/lint.hpp"

namespace lade::parser {

std::string dump(const Dockerfile& file, const std::vector<Warning>& warnings = {});
std::string dump(const Command& command);

/// "text" with quotes, backslashes and control characters escaped.
std::string dump_string(std::string_view text);

}  // namespace lade::parser
