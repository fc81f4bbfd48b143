#include "parser/lines.hpp"

#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "parser/directives.hpp"
#include "parser/grammar.hpp"
#include "parser/heredoc.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

std::string_view without_line_end(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_comment(std::string_view line) {
  return trim_space_left(line).starts_with('#');
}

// Removes the escape character that continues `line`; false if there is none. Doubled it is text.
bool remove_continuation(std::string_view& line, char escape) {
  const auto last = line.find_last_not_of(" \t");
  if (last == std::string_view::npos || line[last] != escape) return false;
  if (last > 0 && line[last - 1] == escape) return false;
  line = line.substr(0, last);
  return true;
}

// Whether heredocs can follow: RUN, COPY and ADD, also as triggers, unless in exec form.
bool takes_heredocs(std::string_view line, char escape, bool trigger = false) {
  const auto command = split_command(line, escape);
  const auto keyword = to_lower(command.keyword);
  if (keyword == "onbuild" && !trigger) return takes_heredocs(command.rest, escape, true);
  if (keyword != "run" && keyword != "copy" && keyword != "add") return false;
  return !exec_form(command.rest);
}

class LineReader {
 public:
  LineReader(std::string_view text, const Locate& locate)
      : text_(without_byte_order_mark(text)), locate_(locate) {}

  LogicalLines run() {
    std::string_view line;
    while (next(line)) {
      const auto whole = without_line_end(line);
      line = trim_space_left(whole);
      if (line.starts_with('#')) {
        // BuildKit cuts off the line's first byte, be it the "#" or a blank in front of it: an
        // indented comment describes nothing and configures no checks.
        if (!read_directive(line.substr(1))) add_comment(whole.substr(1));
        continue;
      }
      directives_over_ = true;
      if (!line.empty()) read_logical_line(line);
    }
    return std::move(result_);
  }

 private:
  // The next physical line with its end.
  bool next(std::string_view& line) {
    if (text_.empty()) return false;
    ++number_;
    line = text_.substr(0, text_.find('\n'));
    const size_t size = line.size();
    if (size > kMaxLineSize) {
      throw error_at(locate_(number_, number_),
                     fmt::format("line greater than max allowed size of {}", kMaxLineSize));
    }
    line = text_.substr(0, size + 1);
    text_.remove_prefix(line.size());
    return true;
  }

  // Whether the comment is a directive. Here only `escape` has a meaning; the others' values are
  // found by find_directive (parser/directives.hpp), which steps over a "#!" line: here that ends
  // them.
  bool read_directive(std::string_view comment) {
    if (directives_over_) return false;
    const auto text = directive(comment);
    if (!text || (text->key != "syntax" && text->key != "check" && text->key != "escape")) {
      directives_over_ = true;
      return false;
    }
    const auto range = locate_(number_, number_);
    if (!directives_.insert(text->key).second) {
      throw error_at(range, fmt::format("only one {} parser directive can be used", text->key));
    }
    if (text->key != "escape") return true;
    if (text->value != "\\" && text->value != "`") {
      throw error_at(
          range, fmt::format("invalid escape token {}: it must be \\ or `", quoted(text->value)));
    }
    result_.escape = text->value[0];
    return true;
  }

  // An empty comment line cuts the others off from the instruction they may stand above.
  void add_comment(std::string_view comment) {
    const auto text = trim_space(comment);
    if (text.empty()) {
      comments_.clear();
    } else {
      comments_.emplace_back(text);
    }
  }

  void read_logical_line(std::string_view line) {
    const int first = number_;
    const char escape = result_.escape;
    LogicalLine logical;
    bool empty_continuation = false;
    bool continued = remove_continuation(line, escape);
    logical.text = line;
    std::string_view more;
    while (continued && next(more)) {
      more = without_line_end(more);
      if (is_comment(more)) continue;
      if (trim_space_left(more).empty()) {
        empty_continuation = true;
        continue;
      }
      continued = remove_continuation(more, escape);
      logical.text += more;
    }
    if (empty_continuation) {
      result_.empty_continuations.push_back(locate_(number_, number_));
    }
    finish(std::move(logical), first);
  }

  void finish(LogicalLine logical, int first) {
    const char escape = result_.escape;
    logical.range = locate_(first, number_);
    if (logical.text.find('\0') != std::string::npos) {
      throw error_at(logical.range, "the instruction contains a NUL byte",
                     "is the file saved as UTF-8?");
    }
    try {
      if (logical.text.find("<<") != std::string::npos && takes_heredocs(logical.text, escape)) {
        logical.heredocs = heredocs_in(logical.text);
        for (auto& heredoc : logical.heredocs) read_heredoc(heredoc);
      }
    } catch (Error& error) {
      error.add_range(locate_(first, number_));
      throw;
    }
    logical.range = locate_(first, number_);
    logical.comments = std::move(comments_);
    comments_.clear();
    result_.lines.push_back(std::move(logical));
  }

  void read_heredoc(Heredoc& heredoc) {
    std::string_view line;
    while (next(line)) {
      auto terminator = without_line_end(line);
      if (heredoc.strip_tabs) {
        terminator.remove_prefix(std::min(terminator.find_first_not_of('\t'), terminator.size()));
      }
      if (terminator == heredoc.name) return;
      heredoc.content += line;
    }
    throw Error(fmt::format("unterminated heredoc: no line {} follows", quoted(heredoc.name)));
  }

  std::string_view text_;
  const Locate& locate_;
  LogicalLines result_;
  std::vector<std::string> comments_;
  std::set<std::string> directives_;
  int number_ = 0;
  bool directives_over_ = false;
};

}  // namespace

LogicalLines read_lines(std::string_view text, const Locate& locate) {
  return LineReader(text, locate).run();
}

}  // namespace lade::parser
