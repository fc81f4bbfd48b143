// Any word expands or fails with an Error. The first byte chooses the options.
#include <cstdint>

#include "base/error.hpp"
#include "parser/expansion.hpp"

namespace {

using namespace lade;

std::optional<std::string> look_up(std::string_view name) {
  if (name.size() % 3 == 0) return std::nullopt;
  if (name.size() % 3 == 1) return "a*b/c d\ne";
  return "";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const parser::ExpansionOptions options{.escape = (data[0] & 1) != 0 ? '`' : '\\',
                                         .keep_quotes = (data[0] & 2) != 0,
                                         .keep_escapes = (data[0] & 4) != 0,
                                         .literal_quotes = (data[0] & 8) != 0,
                                         .keep_unset = (data[0] & 16) != 0};
  const std::string_view word(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    parser::process_word(word, look_up, options);
    parser::process_words(word, look_up, options);
  } catch (const Error&) {
  }
  return 0;
}
