#include "parser/heredoc.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/expansion.hpp"
#include "parser/grammar.hpp"

namespace lade::parser {
namespace {

// Words are looked at with every variable left alone, and always with `\` as the escape.
std::optional<std::string> unset(std::string_view) {
  return std::nullopt;
}

std::vector<std::string> words_of(std::string_view text, bool keep_quotes, bool keep_escapes) {
  return process_words(
      text, unset, {.keep_quotes = keep_quotes, .keep_escapes = keep_escapes, .keep_unset = true});
}

auto count_quotes(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return c == '\'' || c == '"'; });
}

std::string first_line(std::string_view text) {
  const auto lines = split(trim(text), '\n');
  return std::string(trim(lines.front())) + (lines.size() > 1 ? "..." : "");
}

}  // namespace

std::optional<Heredoc> parse_heredoc_word(std::string_view word) {
  const auto start = heredoc_start(word);
  if (!start || start->word.empty()) return std::nullopt;
  std::vector<std::string> names;
  std::vector<std::string> as_written;
  try {
    names = words_of(start->word, false, false);
    as_written = words_of(start->word, true, false);
  } catch (const Error&) {
    return std::nullopt;  // `<<"A` of `COPY <<"A B" /x`: COPY's words do not know quotes
  }
  if (names.size() != 1) return std::nullopt;
  Heredoc heredoc;
  heredoc.name = names.front();
  heredoc.descriptor = start->descriptor;
  heredoc.strip_tabs = start->strip_tabs;
  // If quotes got lost on the way, part of the delimiter was quoted: no expansion of the content.
  heredoc.expand =
      as_written.size() == 1 && count_quotes(as_written.front()) == count_quotes(heredoc.name);
  return heredoc;
}

std::vector<Heredoc> heredocs_in(std::string_view line) {
  std::vector<std::string> words;
  try {
    words = words_of(line, true, true);
  } catch (const Error&) {
    return {};  // `RUN echo it's <<EOF` is for the shell to complain about
  }
  std::vector<Heredoc> heredocs;
  for (const auto& word : words) {
    if (auto heredoc = parse_heredoc_word(word)) heredocs.push_back(std::move(*heredoc));
  }
  return heredocs;
}

std::string strip_leading_tabs(std::string_view content) {
  std::string out;
  while (!content.empty()) {
    content.remove_prefix(std::min(content.find_first_not_of('\t'), content.size()));
    const auto end = std::min(content.find('\n'), content.size() - 1) + 1;
    out += content.substr(0, end);
    content.remove_prefix(end);
  }
  return out;
}

Script script_of(const CommandLine& command) {
  Script script;
  if (command.exec_form) return script;
  script.kind = Script::Kind::shell;
  if (command.words.empty()) return script;
  script.text = command.words.front();
  if (command.heredocs.empty()) return script;

  const auto& first = command.heredocs.front();
  if (parse_heredoc_word(script.text)) {
    script.text = first.strip_tabs ? strip_leading_tabs(first.content) : first.content;
    script.summary = first_line(first.content);
    if (script.text.starts_with("#!")) {
      script.kind = Script::Kind::file;
      script.name = first.name;
    }
    return script;
  }
  for (const auto& heredoc : command.heredocs) {
    script.text += "\n" + heredoc.content + heredoc.name;
  }
  return script;
}

}  // namespace lade::parser
