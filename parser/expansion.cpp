#include "parser/expansion.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/utf8.hpp"
#include "parser/shell_pattern.hpp"
#include "parser/unicode.hpp"

namespace lade::parser {
namespace {

// `${a:-${b:-...}}` recurses, and `ENV a=$a$a` doubles: both are cut off far above any real use.
constexpr int kMaxDepth = 200;
constexpr size_t kMaxExpansion = size_t{32} << 20;

constexpr char32_t kEnd = 0xffffffff;

// Collects one level of a word, as a whole and split at its unquoted blanks.
class Output {
 public:
  void add_raw(std::string_view text) {
    text_ += text;
    word_ += text;
    check_size(text_.size());
  }

  /// Text whose blanks separate words: it was not quoted.
  void add_splitting(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      const auto c = decode_utf8(text, at);
      if (!is_space(c.code)) {
        word_ += text.substr(at, c.size);
      } else if (!word_.empty()) {
        words_.push_back(std::move(word_));
        word_.clear();
      }
      at += c.size;
    }
    text_ += text;
    check_size(text_.size());
  }

  std::string take_text() { return std::move(text_); }

  std::vector<std::string> take_words() {
    if (!word_.empty()) words_.push_back(std::move(word_));
    return std::move(words_);
  }

  static void check_size(size_t size) {
    if (size > kMaxExpansion) throw Error("the expansion of the word is too large");
  }

 private:
  std::string text_;
  std::string word_;
  std::vector<std::string> words_;
};

// `name` followed by an operator inside `${...}`.
struct Operator {
  char32_t symbol = 0;
  bool colon = false;  // empty counts as unset

  std::string text() const {
    return (colon ? ":" : "") + std::string(1, static_cast<char>(symbol));
  }
};

// A recursive descent over one word. Positions are bytes, decisions are made on characters.
class Lexer {
 public:
  Lexer(std::string_view source, const Environment& environment, const ExpansionOptions& options)
      : source_(source),
        environment_(environment),
        options_(options),
        keep_escapes_(options.keep_escapes) {}

  Output run() { return read_until(kEnd, keep_escapes_); }

  std::set<std::string> used;
  std::set<std::string> unset;

 private:
  char32_t peek() const { return at_ < source_.size() ? decode_utf8(source_, at_).code : kEnd; }

  // The bytes of the next character; empty at the end.
  std::string_view next() {
    if (at_ >= source_.size()) return {};
    const auto start = at_;
    at_ += decode_utf8(source_, at_).size;
    return source_.substr(start, at_ - start);
  }

  bool is_escape(std::string_view c) const { return c.size() == 1 && c[0] == options_.escape; }

  // Up to and including the unquoted character `stop`, or to the end of the word.
  Output read_until(char32_t stop, bool keep_escapes) {
    if (++depth_ > kMaxDepth) throw Error("substitutions are nested too deeply");
    const bool outer_keep_escapes = keep_escapes_;
    keep_escapes_ = keep_escapes;
    Output out;
    while (peek() != stop) {
      if (peek() == kEnd) {
        throw Error(fmt::format("unexpected end of statement while looking for matching {}",
                                static_cast<char>(stop)));
      }
      read_one(out);
    }
    next();
    keep_escapes_ = outer_keep_escapes;
    --depth_;
    return out;
  }

  void read_one(Output& out) {
    switch (peek()) {
      case U'$':
        return out.add_splitting(dollar());
      case U'<':
        return out.add_raw(angle());
      case U'\'':
        if (!options_.literal_quotes) return out.add_raw(single_quoted());
        break;
      case U'"':
        if (!options_.literal_quotes) return out.add_raw(double_quoted());
        break;
      default:
        break;
    }
    const auto c = next();
    if (!is_escape(c)) return out.add_splitting(c);
    if (keep_escapes_) out.add_raw(c);
    out.add_raw(next());
  }

  // "<<" keeps the blanks behind it in its word, so that `<< EOF` is one word (a heredoc).
  std::string_view angle() {
    const auto start = at_;
    next();
    if (peek() == U'<') {
      next();
      while (peek() == U' ' || peek() == U'\t' || peek() == U'\r') next();
    }
    return source_.substr(start, at_ - start);
  }

  std::string single_quoted() {
    std::string out;
    const auto open = next();
    if (options_.keep_quotes) out += open;
    const auto start = at_;
    const auto close = source_.find('\'', at_);
    if (close == std::string_view::npos) {
      throw Error("unexpected end of statement while looking for matching single-quote");
    }
    out += source_.substr(start, close - start);
    at_ = close + 1;
    if (options_.keep_quotes) out += '\'';
    return out;
  }

  std::string double_quoted() {
    std::string out;
    const auto open = next();
    if (options_.keep_quotes) out += open;
    while (peek() != U'"') {
      if (peek() == kEnd) {
        throw Error("unexpected end of statement while looking for matching double-quote");
      }
      if (peek() == U'$') {
        out += dollar();
        Output::check_size(out.size());
        continue;
      }
      const auto c = next();
      if (!is_escape(c)) {
        out += c;
        continue;
      }
      // Only quotes, "$" and the escape itself can be escaped here; before anything else the escape
      // stays, and twice where escapes are kept: BuildKit's patterns mean that.
      if (keep_escapes_) out += c;
      const auto follower = peek();
      const bool escapable = follower == U'"' || follower == U'$' ||
                             follower == static_cast<unsigned char>(options_.escape);
      if (escapable) {
        out += next();
      } else if (follower != kEnd) {
        out += c;
      }
    }
    const auto close = next();
    if (options_.keep_quotes) out += close;
    return out;
  }

  std::string name() {
    const auto start = at_;
    const auto first = peek();
    if (is_digit(first)) {
      while (is_digit(peek())) next();
    } else if (first < 0x80 && std::string_view("@*#?-$!").find(static_cast<char>(first)) !=
                                   std::string_view::npos) {
      next();
    } else {
      while (is_letter(peek()) || is_digit(peek()) || peek() == U'_') next();
    }
    return std::string(source_.substr(start, at_ - start));
  }

  std::optional<std::string> look_up(const std::string& variable) {
    auto value = environment_(variable);
    (value ? used : unset).insert(variable);
    return value;
  }

  std::string dollar() {
    const auto start = at_;
    next();
    if (peek() == U'{') {
      next();
      return substitution();
    }
    const auto variable = name();
    if (variable.empty()) return "$";
    auto value = look_up(variable);
    if (!value && options_.keep_unset) return std::string(source_.substr(start, at_ - start));
    return value.value_or("");
  }

  // Behind "${".
  std::string substitution() {
    const auto first = peek();
    if (first == kEnd) throw Error("syntax error: missing '}'");
    if (first == U'{' || first == U'}' || first == U':') {
      throw Error("syntax error: bad substitution");
    }
    const auto variable = name();
    if (peek() == kEnd) throw Error("syntax error: missing '}'");
    Operator op{peek(), false};
    auto spelled = next();
    if (op.symbol == U'}') {
      auto value = look_up(variable);
      if (!value && options_.keep_unset) return "${" + variable + "}";
      return value.value_or("");
    }
    if (op.symbol == U'/') return replacement(variable);
    if (op.symbol == U':') {
      op = {peek(), true};
      spelled = next();
    }
    const bool known =
        op.symbol < 0x80 &&
        std::string_view("-+?#%").find(static_cast<char>(op.symbol)) != std::string_view::npos;
    const bool trims = op.symbol == U'#' || op.symbol == U'%';
    if (!known || (trims && op.colon)) {
      throw Error(
          fmt::format("unsupported modifier ({}{}) in substitution", op.colon ? ":" : "", spelled));
    }
    return apply(variable, op, operand(U'}', trims));
  }

  // An operand of a substitution, up to `stop`.
  std::string operand(char32_t stop, bool keep_escapes) {
    try {
      return read_until(stop, keep_escapes).take_text();
    } catch (const Error&) {
      // Whatever was open inside: when nothing is left, the outer brace is what is missing.
      if (peek() != kEnd) throw;
      throw Error(fmt::format("syntax error: missing '{}'", static_cast<char>(stop)));
    }
  }

  std::string apply(const std::string& variable, const Operator& op, std::string word) {
    auto value = look_up(variable);
    if (!value && options_.keep_unset) return "${" + variable + op.text() + word + "}";
    const bool missing = !value || (op.colon && value->empty());
    switch (op.symbol) {
      case U'-':
        return missing ? word : *value;
      case U'+':
        return missing ? "" : word;
      case U'?':
        if (!missing) return *value;
        if (word.empty())
          word = value ? "is not allowed to be empty" : "is not allowed to be unset";
        throw Error(fmt::format("{}: {}", variable, word));
      default: {
        std::string_view pattern = word;
        auto extent = Extent::shortest;
        if (pattern.starts_with(static_cast<char>(op.symbol))) {
          extent = Extent::longest;
          pattern.remove_prefix(1);
        }
        const auto text = value.value_or("");
        return op.symbol == U'#' ? remove_prefix(text, pattern, extent)
                                 : remove_suffix(text, pattern, extent);
      }
    }
  }

  // Behind "${name/".
  std::string replacement(const std::string& variable) {
    const bool all = peek() == U'/';
    if (all) next();
    const auto pattern = operand(U'/', true);
    const auto text = operand(U'}', true);
    auto value = look_up(variable);
    if (!value && options_.keep_unset) return "${" + variable + "/" + pattern + "/" + text + "}";
    return replace(value.value_or(""), pattern, text, all);
  }

  std::string_view source_;
  const Environment& environment_;
  const ExpansionOptions& options_;
  size_t at_ = 0;
  int depth_ = 0;
  bool keep_escapes_;
};

Output run(Lexer& lexer, std::string_view word) {
  // The word may be a whole heredoc.
  constexpr size_t kMaxQuoted = 200;
  const auto name = [word] {
    return quoted(word.substr(0, kMaxQuoted)) + (word.size() > kMaxQuoted ? "..." : "");
  };
  return with_context([&] { return "failed to process " + name(); }, [&] { return lexer.run(); });
}

}  // namespace

Expansion process_word(std::string_view word, const Environment& environment,
                       const ExpansionOptions& options) {
  Lexer lexer(word, environment, options);
  auto text = run(lexer, word).take_text();
  return {std::move(text), std::move(lexer.used), std::move(lexer.unset)};
}

std::vector<std::string> process_words(std::string_view word, const Environment& environment,
                                       const ExpansionOptions& options) {
  Lexer lexer(word, environment, options);
  return run(lexer, word).take_words();
}

}  // namespace lade::parser
