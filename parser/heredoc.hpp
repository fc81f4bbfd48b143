// Heredocs: finding their delimiters in a logical line, and what they mean to a RUN.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parser/ast.hpp"

namespace lade::parser {

/// The heredocs that `line` announces, in order, without contents. None if its quotes do not match.
std::vector<Heredoc> heredocs_in(std::string_view line);

/// `word` as the start of a heredoc (`<<EOF`, `3<<-"EOF"`); nullopt if it is not one.
std::optional<Heredoc> parse_heredoc_word(std::string_view word);

/// `content` without the tabs at the start of its lines (`<<-`).
std::string strip_leading_tabs(std::string_view content);

/// What a RUN executes.
struct Script {
  enum class Kind {
    exec,   ///< the words of an exec form; `text` is empty
    shell,  ///< `text` for the shell to run
    file,   ///< `text` is an executable file called `name` ("#!"), to be run by its path
  };
  Kind kind = Kind::exec;
  std::string text;
  std::string name;
  std::string summary;  ///< first line of a sole heredoc, for progress; empty otherwise
};

/// A sole heredoc is itself the script, or with a "#!" the program; otherwise the shell gets the
/// command with its heredocs put back.
Script script_of(const CommandLine& command);

}  // namespace lade::parser
