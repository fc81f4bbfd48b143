// Errors that say what to do next.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade::parser {

/// An Error without a range yet: the instruction's is added while unwinding.
inline Error error_with_hint(std::string message, std::string hint) {
  Error error(std::move(message));
  error.set_hint(std::move(hint));
  return error;
}

/// With "did you mean X?" if a candidate is near to `word`; `prefix` is put before it.
inline Error error_with_nearest(std::string message, std::string_view word,
                                const std::vector<std::string>& candidates,
                                std::string_view prefix = {}) {
  const auto near = nearest(word, candidates);
  if (near.empty()) return Error(std::move(message));
  return error_with_hint(std::move(message), "did you mean " + std::string(prefix) + near + "?");
}

}  // namespace lade::parser
