#include "base/pattern.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {

bool has_wildcard(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '*' || text[i] == '?' || text[i] == '[') {
      return true;
    }
  }
  return false;
}

bool Glob::Token::accepts(char32_t c) const {
  switch (type) {
    case Type::literal:
      return c == code;
    case Type::one:
    case Type::star:
      return c != U'/';
    case Type::set: {
      const bool inside = std::any_of(ranges.begin(), ranges.end(), [c](const auto& range) {
        return range.first <= c && c <= range.second;
      });
      return inside != negated;
    }
    case Type::directories:
    case Type::rest:
      return true;
  }
  return false;
}

void Glob::malformed(std::string_view why) const {
  throw Error(fmt::format("malformed pattern {}: {}", quoted(text_), why));
}

Glob::Glob(std::string_view pattern, Dialect dialect) : text_(pattern) {
  for (size_t at = 0; at < text_.size();) {
    Token token;
    auto c = decode_utf8(text_, at);
    if (c.code == U'*') {
      at = add_stars(at, dialect);
      continue;
    }
    if (c.code == U'[') {
      at = add_set(at);
      continue;
    }
    if (c.code == U'?') {
      token.type = Token::Type::one;
      kind_ = Kind::machine;
    } else if (c.code == U'\\') {
      if (++at == text_.size()) malformed("nothing follows the last backslash");
      c = decode_utf8(text_, at);
      kind_ = Kind::machine;
    }
    token.code = c.code;
    tokens_.push_back(std::move(token));
    at += c.size;
  }
}

// `at` is on a "*"; returns where the pattern goes on.
size_t Glob::add_stars(size_t at, Dialect dialect) {
  const bool first = tokens_.empty();
  const bool doubled = dialect == Dialect::ignore && text_.compare(at, 2, "**") == 0;
  Token token;
  if (!doubled) {
    token.type = Token::Type::star;
    kind_ = Kind::machine;
    tokens_.push_back(std::move(token));
    return at + 1;
  }
  at += 2;
  if (at < text_.size() && text_[at] == '/') ++at;
  const bool last = at == text_.size();
  token.type = last ? Token::Type::rest : Token::Type::directories;
  // "**/**/" is "**/": a long run of them would be entered whole again at every "/" of a path.
  const bool repeated = !first && tokens_.back().type == Token::Type::directories;
  if (!repeated || last) tokens_.push_back(std::move(token));
  // moby's shortcuts are part of the language: "**x" means "ends in x", not "x in any directory".
  if (first) {
    kind_ = Kind::suffix;
  } else if (last && kind_ == Kind::exact) {
    kind_ = Kind::prefix;
  } else {
    kind_ = Kind::machine;
  }
  return at;
}

Utf8Char Glob::set_member(size_t& at) const {
  if (at < text_.size() && text_[at] == '\\') {
    ++at;
  } else if (at < text_.size() && (text_[at] == '-' || text_[at] == ']')) {
    malformed("a class needs a character here");
  }
  if (at >= text_.size()) malformed("unclosed class");
  const auto c = decode_utf8(text_, at);
  at += c.size;
  if (at >= text_.size()) malformed("unclosed class");
  return c;
}

// `at` is on a "["; returns where the pattern goes on.
size_t Glob::add_set(size_t at) {
  Token token;
  token.type = Token::Type::set;
  ++at;
  if (at < text_.size() && text_[at] == '^') {
    token.negated = true;
    ++at;
  }
  while (token.ranges.empty() || text_[at] != ']') {
    const auto low = set_member(at).code;
    auto high = low;
    if (text_[at] == '-') high = set_member(++at).code;
    token.ranges.emplace_back(low, high);
  }
  kind_ = Kind::machine;
  tokens_.push_back(std::move(token));
  return at + 1;
}

// Adds `state` and what can be reached from it without a character; returns one past the last.
size_t Glob::enter(States& states, size_t state) const {
  for (;; ++state) {
    states[state] = 1;
    if (state == tokens_.size()) return state + 1;
    const auto type = tokens_[state].type;
    if (type != Token::Type::star && type != Token::Type::directories &&
        type != Token::Type::rest) {
      return state + 1;
    }
  }
}

// The states (positions in tokens_) after `path`, all possibilities at once: no backtracking, so
// that "*a*a*a*b" costs no more than it is long. Only states before `end` are looked at: a pattern
// may be much longer than any path.
Glob::States Glob::run(std::string_view path) const {
  States now(tokens_.size() + 1);
  States next(tokens_.size() + 1);
  size_t end = enter(now, 0);
  for (size_t at = 0; at < path.size() && end > 0;) {
    const auto c = decode_utf8(path, at);
    at += c.size;
    size_t next_end = 0;
    for (size_t state = 0; state < std::min(end, tokens_.size()); ++state) {
      if (!now[state] || !tokens_[state].accepts(c.code)) continue;
      switch (tokens_[state].type) {
        case Token::Type::star:
        case Token::Type::rest:
          next_end = std::max(next_end, enter(next, state));
          break;
        case Token::Type::directories:
          next[state] = 1;
          next_end = std::max(next_end, state + 1);
          if (c.code == U'/') next_end = std::max(next_end, enter(next, state + 1));
          break;
        default:
          next_end = std::max(next_end, enter(next, state + 1));
      }
    }
    std::fill_n(now.begin(), end, 0);
    now.swap(next);
    end = next_end;
  }
  return now;
}

bool Glob::matches(std::string_view path) const {
  const std::string_view text = text_;
  switch (kind_) {
    case Kind::exact:
      return path == text;
    case Kind::prefix:
      return path.starts_with(text.substr(0, text.size() - 2));
    case Kind::suffix: {
      const auto suffix = text.substr(2);
      return path.ends_with(suffix) || (suffix.starts_with('/') && path == suffix.substr(1));
    }
    case Kind::machine:
      return run(path).back() != 0;
  }
  return false;
}

bool Glob::may_match_below(std::string_view dir) const {
  const std::string_view text = text_;
  const std::string inside = std::string(dir) + "/";
  switch (kind_) {
    case Kind::exact:
      return text.starts_with(inside);
    case Kind::prefix: {
      const auto prefix = text.substr(0, text.size() - 2);
      return prefix.starts_with(inside) || inside.starts_with(prefix);
    }
    case Kind::suffix:
      return true;
    case Kind::machine: {
      const auto states = run(inside);
      return std::find(states.begin(), states.end() - 1, 1) != states.end() - 1;
    }
  }
  return true;
}

PatternMatcher::PatternMatcher(const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns) {
    const auto trimmed = trim(pattern);
    if (trimmed.empty()) continue;
    const std::string cleaned = clean_path(trimmed);
    std::string_view text = cleaned;
    const bool exception = text.starts_with('!');
    if (exception) {
      text.remove_prefix(1);
      if (text.empty()) throw Error("malformed pattern '!': nothing to take back");
    }
    entries_.push_back({Glob(text, Glob::Dialect::ignore), exception});
  }
}

PatternMatcher::Match PatternMatcher::match(std::string_view path, const Match* parent) const {
  Match result;
  result.hits.resize(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto& entry = entries_[i];
    bool hit = parent != nullptr && parent->hits[i];
    // A pattern that could not change the verdict is not tried, and so not inherited by children:
    // moby does the same, and it shows ("a", "!a/x", "a" keeps a/x).
    if (!hit && entry.exception == result.matched) hit = entry.glob.matches(path);
    result.hits[i] = hit;
    if (hit) result.matched = !entry.exception;
  }
  return result;
}

bool PatternMatcher::matches(std::string_view path) const {
  if (entries_.empty() || path.empty() || path == ".") return false;
  Match verdict;
  const Match* parent = nullptr;
  for (size_t end = 0; end != std::string_view::npos;) {
    end = path.find('/', end + 1);
    Match next = match(path.substr(0, end), parent);
    verdict = std::move(next);
    parent = &verdict;
  }
  return verdict.matched;
}

bool PatternMatcher::has_exceptions() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.exception; });
}

bool PatternMatcher::may_match_below(std::string_view dir) const {
  return std::any_of(entries_.begin(), entries_.end(), [dir](const Entry& entry) {
    return !entry.exception && entry.glob.may_match_below(dir);
  });
}

bool PatternMatcher::exception_may_match_below(std::string_view dir) const {
  return std::any_of(entries_.begin(), entries_.end(), [dir](const Entry& entry) {
    return entry.exception && entry.glob.may_match_below(dir);
  });
}

}  // namespace lade
