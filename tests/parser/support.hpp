// Shorthands of the parser's tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "parser/parse.hpp"
#include "tests/support/error_of.hpp"

namespace lade::parser {

inline Dockerfile parse_text(std::string text, Linter* linter = nullptr) {
  return parse(std::make_shared<const SourceFile>(SourceFile{"Dockerfile", std::move(text)}),
               linter);
}

/// The only command of a stage.
template <class Body>
Body parse_command(const std::string& line) {
  const auto file = parse_text("FROM scratch\n" + line + "\n");
  return std::get<Body>(file.stages.at(0).commands.at(0).body);
}

}  // namespace lade::parser
