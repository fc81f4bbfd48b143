#include "parser/shell_pattern.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/utf8.hpp"

namespace lade::parser {
namespace {

constexpr size_t kNoMatch = static_cast<size_t>(-1);
// Pattern and value may both come from variables; beyond this, matching would take seconds.
constexpr size_t kMaxWork = size_t{1} << 28;

struct Token {
  enum class Type { literal, one, star };
  Type type = Type::literal;
  char32_t code = 0;
};

std::vector<char32_t> decode(std::string_view text) {
  std::vector<char32_t> codes;
  codes.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto c = decode_utf8(text, at);
    codes.push_back(c.code);
    at += c.size;
  }
  return codes;
}

std::vector<Token> tokenize(std::string_view pattern) {
  const auto codes = decode(pattern);
  std::vector<Token> tokens;
  for (size_t i = 0; i < codes.size(); ++i) {
    auto c = codes[i];
    if (c == U'*') {
      tokens.push_back({Token::Type::star, 0});
    } else if (c == U'?') {
      tokens.push_back({Token::Type::one, 0});
    } else {
      if (c == U'\\') {
        c = ++i < codes.size() ? codes[i] : 0;
        if (std::u32string_view(U"*?\\}/").find(c) == std::u32string_view::npos) {
          throw Error(
              fmt::format("invalid pattern {} in substitution: only * ? \\ / }} can be "
                          "escaped",
                          quoted(pattern)));
        }
      }
      tokens.push_back({Token::Type::literal, c});
    }
  }
  return tokens;
}

void check_work(size_t value, size_t pattern) {
  if (pattern != 0 && value > kMaxWork / pattern) {
    throw Error("value and pattern in substitution are too large");
  }
}

// For each position of `value` where the pattern can begin, the end of the match that `extent` asks
// for. Computed from the back: a row holds, for every token, the best end of a match of the tokens
// from there on, and the row of a position needs only that of the next position.
std::vector<size_t> match_ends(const std::vector<char32_t>& value, const std::vector<Token>& tokens,
                               Extent extent) {
  check_work(value.size(), tokens.size());
  const auto better = [extent](size_t a, size_t b) {
    if (a == kNoMatch || b == kNoMatch) return std::min(a, b);
    return extent == Extent::shortest ? std::min(a, b) : std::max(a, b);
  };
  std::vector<size_t> ends(value.size() + 1);
  std::vector<size_t> row(tokens.size() + 1, kNoMatch);
  std::vector<size_t> following;
  for (size_t at = value.size() + 1; at-- > 0;) {
    following.swap(row);
    if (at == value.size()) following.assign(tokens.size() + 1, kNoMatch);
    row.assign(tokens.size() + 1, kNoMatch);
    row[tokens.size()] = at;
    for (size_t i = tokens.size(); i-- > 0;) {
      const bool more = at < value.size();
      const bool wildcard = more && value[at] != U'\n';
      switch (tokens[i].type) {
        case Token::Type::literal:
          if (more && value[at] == tokens[i].code) row[i] = following[i + 1];
          break;
        case Token::Type::one:
          if (wildcard) row[i] = following[i + 1];
          break;
        case Token::Type::star:
          row[i] = wildcard ? better(row[i + 1], following[i]) : row[i + 1];
          break;
      }
    }
    ends[at] = row[0];
  }
  return ends;
}

// The byte offset of every character of `text`, and its size at the end.
std::vector<size_t> offsets(std::string_view text) {
  std::vector<size_t> result;
  result.reserve(text.size() + 1);
  for (size_t at = 0; at < text.size(); at += decode_utf8(text, at).size) result.push_back(at);
  result.push_back(text.size());
  return result;
}

}  // namespace

std::string remove_prefix(std::string_view value, std::string_view pattern, Extent extent) {
  const auto end = match_ends(decode(value), tokenize(pattern), extent).front();
  return std::string(end == kNoMatch ? value : value.substr(offsets(value)[end]));
}

std::string remove_suffix(std::string_view value, std::string_view pattern, Extent extent) {
  // The best match that ends with the value is the best one that begins it, both read backwards.
  auto codes = decode(value);
  auto tokens = tokenize(pattern);
  std::reverse(codes.begin(), codes.end());
  std::reverse(tokens.begin(), tokens.end());
  const auto length = match_ends(codes, tokens, extent).front();
  if (length == kNoMatch) return std::string(value);
  return std::string(value.substr(0, offsets(value)[codes.size() - length]));
}

std::string replace(std::string_view value, std::string_view pattern, std::string_view replacement,
                    bool all) {
  const auto codes = decode(value);
  const auto at_byte = offsets(value);
  const auto ends = match_ends(codes, tokenize(pattern), Extent::longest);
  std::string out;
  size_t copied = 0;
  size_t at = 0;
  for (bool first = true; at <= codes.size() && (all || first);) {
    const auto end = ends[at];
    // An empty match right behind the last one is not another match.
    if (end == kNoMatch || (end == at && end == copied && !first)) {
      ++at;
      continue;
    }
    out += value.substr(at_byte[copied], at_byte[at] - at_byte[copied]);
    out += replacement;
    copied = end;
    at = std::max(end, at + (end == at ? 1 : 0));
    first = false;
  }
  return out.append(value.substr(at_byte[copied]));
}

}  // namespace lade::parser
