// How the warnings of build checks look on a terminal: as `docker buildx build` prints them.
#pragma once

#include <string>
#include <vector>

#include "parser/lint.hpp"

namespace lade {

/// "FILE:LINE", a rule, the lines of `range` marked with ">>>" and some around them, a rule; empty
/// if the lines are not known. Ends with a newline.
std::string source_excerpt(const SourceRange& range);

/// " 2 warnings found (use --debug to expand):" and a line for each, between an empty line and a
/// newline; with `expand` all there is to say of each. Empty if there are none.
std::string warnings_text(const std::vector<parser::Warning>& warnings, bool expand);

/// Prints the warnings of a linter to standard error when it goes, however the build ends.
class WarningsAtEnd {
 public:
  WarningsAtEnd(const parser::Linter& linter, bool expand) : linter_(linter), expand_(expand) {}
  ~WarningsAtEnd();
  WarningsAtEnd(const WarningsAtEnd&) = delete;
  WarningsAtEnd& operator=(const WarningsAtEnd&) = delete;

 private:
  const parser::Linter& linter_;
  bool expand_;
};

}  // namespace lade
