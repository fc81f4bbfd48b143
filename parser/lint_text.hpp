// The checks that need nothing but the text, run by parse(): lint.hpp says what all of them share.
#pragma once

#include "parser/ast.hpp"
#include "parser/instruction.hpp"
#include "parser/lint.hpp"

namespace lade::parser {

/// What one instruction says by itself. `linter` may be null.
void lint_instruction(Linter* linter, const ParsedLine& line);

/// What takes all of the file: names of stages, the case of keywords.
void lint_file(Linter& linter, const Dockerfile& file);

}  // namespace lade::parser
