// Shorthands of the parser's tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "parser/parse.hpp"

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

/// As a user reads it: place, message and hint; "" if nothing was thrown.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    std::string text = error.message();
    if (error.range()) text = to_string(*error.range()) + ": " + text;
    if (!error.hint().empty()) text += "\nhint: " + error.hint();
    return text;
  }
  return {};
}

}  // namespace lade::parser
