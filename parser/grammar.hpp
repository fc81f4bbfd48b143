// The grammar of what stands inside a logical line, as plain functions over text (Boost.Spirit X3
// stays in grammar_*.cpp). All of them are total: what they do not accept is said by nullopt, or by
// an Error where a Dockerfile cannot mean anything else.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lade::parser {

/// A logical line cut into keyword, flags and the rest.
struct CommandText {
  std::string keyword;             ///< as written
  std::vector<std::string> flags;  ///< leading words with "--", quotes and escapes resolved; "--"
                                   ///< alone ends them and is dropped
  std::string rest;                ///< trimmed
};
CommandText split_command(std::string_view line, char escape);

/// Words between blanks; quotes mean nothing.
std::vector<std::string> blank_separated(std::string_view text);

/// Words between blanks that are neither quoted nor escaped. Quotes and escapes stay in the words.
std::vector<std::string> quoted_words(std::string_view text, char escape);

/// `["a", "b"]`. nullopt if `text` is not a JSON array, which makes it shell form; throws Error if
/// it is one, but not of strings.
std::optional<std::vector<std::string>> exec_form(std::string_view text);

/// `key = value` behind the "#" of a comment.
struct DirectiveText {
  std::string key;  ///< lower case
  std::string value;
};
std::optional<DirectiveText> directive(std::string_view comment);

/// `3<<-WORD`; the word is still quoted.
struct HeredocText {
  unsigned descriptor = 0;
  bool strip_tabs = false;
  std::string word;
};
std::optional<HeredocText> heredoc_start(std::string_view text);

/// One record of comma-separated values; fields may be quoted as in RFC 4180. Throws Error.
std::vector<std::string> csv_fields(std::string_view text);

/// "1", "t", "true", "0", "f", "false" and their upper case forms, as Go's strconv.ParseBool.
std::optional<bool> boolean(std::string_view text);

/// "1h2m3.5s" as Go's time.ParseDuration. Throws Error.
std::chrono::nanoseconds duration(std::string_view text);

/// "64m", "1.5 GiB", "100" in bytes; units are powers of 1024. nullopt if it is not a size.
std::optional<int64_t> byte_size(std::string_view text);

}  // namespace lade::parser
