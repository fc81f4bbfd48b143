#include <set>
#include <string>

#include "base/error.hpp"
#include "parser/expansion.hpp"
#include "solver/lower/lint.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {

std::string expand(const LowerState& state, const StageState& stage, std::string_view word) {
  // Noted here, so that a word like ${x:?} that cannot be expanded has its warning, too.
  std::set<std::string> unset;
  const parser::Environment environment = [&](std::string_view name) {
    auto value = stage.env.get(name);
    if (!value) unset.emplace(name);
    return value;
  };
  try {
    std::string text = parser::process_word(word, environment, state.expansion()).text;
    lint_unset(state, stage, unset);
    return text;
  } catch (const Error&) {
    lint_unset(state, stage, unset);
    throw;
  }
}

std::string expand_shown(const LowerState& state, const StageState& stage,
                         const std::string& text) {
  try {
    return parser::process_word(text, stage.env.environment(), state.expansion()).text;
  } catch (const Error&) {
    return text;
  }
}

}  // namespace lade::lowering
