// From bytes to logical lines: byte order mark, directives, comments, continuations and heredocs.
//
// By hand, since all of it depends on where lines end and on the escape directive.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/source_range.hpp"
#include "parser/ast.hpp"

namespace lade::parser {

/// The longest physical line, as in BuildKit.
inline constexpr size_t kMaxLineSize = 65535;

struct LogicalLine {
  std::string text;  ///< continuations joined, blanks in front removed
  SourceRange range;
  std::vector<std::string> comments;
  std::vector<Heredoc> heredocs;
};

struct LogicalLines {
  char escape = '\\';  ///< of the directive
  std::vector<LogicalLine> lines;
  std::vector<SourceRange> empty_continuations;  ///< last lines of what has empty lines inside
};

/// What the lines `first` to `last` (from 1) of the text are called.
using Locate = std::function<SourceRange(int first, int last)>;

/// Throws Error with a range: bad or repeated directives, unterminated heredocs, overlong lines,
/// NUL bytes in instructions.
LogicalLines read_lines(std::string_view text, const Locate& locate);

}  // namespace lade::parser
