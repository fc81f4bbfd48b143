// Variables and quotes in the words of instructions: `$v`, `${v}`, `${v:-word}`, `-`, `:+`, `+`,
// `:?`,
// `?`, `${v#pattern}`, `##`, `%`, `%%`, `${v/pattern/text}` and `${v//pattern/text}`.
//
// Like a POSIX shell's word expansion, except that unknown escapes inside double quotes stay, and
// that an unset variable is empty. Bytes that are not UTF-8 pass through unchanged. Errors name the
// whole word; add the instruction's range while unwinding.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lade::parser {

/// The value of a variable, which may be empty; nullopt if it is unset.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

/// What the strings of an instruction go through: usually process_word with the stage's
/// environment.
using Expander = std::function<std::string(std::string_view word)>;

struct ExpansionOptions {
  char escape = '\\';           ///< Directives::escape
  bool keep_quotes = false;     ///< quotes still protect, but stay in the result
  bool keep_escapes = false;    ///< likewise for escape characters
  bool literal_quotes = false;  ///< quotes are ordinary characters (contents of heredocs)
  bool keep_unset = false;      ///< an unset variable stays as it was written (progress lines)
};

/// For heredocs in COPY and ADD, which always escape with `\`.
inline constexpr ExpansionOptions kHeredocExpansion{.literal_quotes = true};

struct Expansion {
  std::string text;
  std::set<std::string> used;   ///< variables that were looked up and set
  std::set<std::string> unset;  ///< variables that were looked up and not set
};

/// `word` as one string; blanks are kept.
Expansion process_word(std::string_view word, const Environment& environment,
                       const ExpansionOptions& options = {});

/// `word` split at blanks that are not quoted, after expansion: `$ports` may become several words.
std::vector<std::string> process_words(std::string_view word, const Environment& environment,
                                       const ExpansionOptions& options = {});

}  // namespace lade::parser
