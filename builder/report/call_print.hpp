// The documents of `lade build --call`, as text (laid out as buildx prints them) and as JSON (with
// the field names of BuildKit's subrequests, so that programs made for those can read them).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "parser/ast.hpp"
#include "parser/lint.hpp"
#include "solver/lower/outline.hpp"

namespace lade {

/// What checking a file found; `error` is what would end a build of it.
struct LintResults {
  std::shared_ptr<const SourceFile> source;
  std::vector<parser::Warning> warnings;
  std::optional<Error> error;
};

/// Without the error, which goes elsewhere.
std::string lint_text(const LintResults& results);
std::string lint_json(const LintResults& results);

std::string outline_text(const Outline& outline);
std::string outline_json(const Outline& outline, const SourceFile& source);

std::string targets_text(const parser::Dockerfile& file);
std::string targets_json(const parser::Dockerfile& file);

std::string methods_text();
std::string methods_json();

}  // namespace lade
