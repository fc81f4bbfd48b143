// From a Dockerfile's bytes to its syntax tree (parser/ast.hpp).
//
// The language is that of BuildKit's frontend 1.26. Both functions throw Error with the range of
// the instruction at fault and, where we know one, a "did you mean" hint. They check what BuildKit
// checks before it knows any variable; checks that need expanded values belong to lowering.
#pragma once

#include <memory>
#include <string_view>

#include "base/source_range.hpp"
#include "parser/ast.hpp"

namespace lade::parser {

class Linter;

/// Inputs larger than this are refused.
inline constexpr size_t kMaxDockerfileSize = size_t{16} << 20;

/// `linter`, if there is one, gets the warnings that need nothing but the text; those about lines
/// above an error come before it.
Dockerfile parse(std::shared_ptr<const SourceFile> source, Linter* linter = nullptr);

/// An ONBUILD trigger from an image config, as one command. Its lines do not exist in the user's
/// file: `range` (the FROM that brought it in) is what its origin and its errors name. Triggers are
/// always read with `\` as the escape character, whatever the Dockerfile's own is.
Command parse_onbuild_trigger(std::string_view text, const SourceRange& range);

}  // namespace lade::parser
