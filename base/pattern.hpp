// Matching of paths against patterns, in the two dialects of Dockerfiles.
//
// Dialect::path: COPY's wildcards, as Go's path/filepath.Match. The whole path must match.
//   `*` any characters but "/", `?` one character but "/", `[a-z]` and `[^a-z]` one character of a
//   class, `\c` the character c.
// Dialect::ignore: .dockerignore, --exclude and --parents, as moby/patternmatcher: the same, and
// `**`
//   for any number of directories. PatternMatcher makes ordered lists of them with `!` exceptions.
// Characters are UTF-8 code points; an invalid byte is a character of its own. Matching takes time
// proportional to pattern size times path size at worst. Everything here is immutable once made.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.hpp"

namespace lade {

/// Whether `text` has an unescaped `*`, `?` or `[`.
bool has_wildcard(std::string_view text);

/// One compiled pattern.
class Glob {
 public:
  enum class Dialect { path, ignore };

  /// A pattern for Dialect::ignore has to be clean (base/text.hpp). Throws Error if `pattern` is
  /// malformed: an unclosed class, a lone "\" at the end.
  Glob(std::string_view pattern, Dialect dialect);

  bool matches(std::string_view path) const;
  /// Whether it could match some path strictly below the directory `dir`.
  bool may_match_below(std::string_view dir) const;
  const std::string& text() const { return text_; }

 private:
  // Most ignore patterns are plain names, "dir/**" or "**/name", which need no state machine.
  enum class Kind { exact, prefix, suffix, machine };

  struct Token {
    enum class Type {
      literal,      // one code point
      one,          // `?`
      set,          // `[...]`
      star,         // `*`
      directories,  // `**` before something else: nothing, or anything that ends in "/"
      rest,         // `**` at the end: anything
    };
    Type type = Type::literal;
    char32_t code = 0;
    bool negated = false;
    std::vector<std::pair<char32_t, char32_t>> ranges;

    bool accepts(char32_t c) const;
  };
  using States = std::vector<char>;

  size_t add_stars(size_t at, Dialect dialect);
  size_t add_set(size_t at);
  Utf8Char set_member(size_t& at) const;
  [[noreturn]] void malformed(std::string_view why) const;
  size_t enter(States& states, size_t state) const;
  States run(std::string_view path) const;

  std::string text_;
  Kind kind_ = Kind::exact;
  std::vector<Token> tokens_;
};

/// Ordered patterns: the last one that matches a path or a directory above it decides.
class PatternMatcher {
 public:
  PatternMatcher() = default;  ///< matches nothing
  /// Blank patterns are skipped, others trimmed and cleaned. Throws Error for a malformed one.
  explicit PatternMatcher(const std::vector<std::string>& patterns);

  /// The verdict on one path and, for its children, the patterns that it or a parent of it matched.
  struct Match {
    bool matched = false;
    std::vector<bool> hits;
  };

  /// `parent` is the verdict on the directory that holds `path`, null at the top. Walkers pass it
  /// on, which costs one test per pattern and path.
  Match match(std::string_view path, const Match* parent) const;

  /// match() from the top down to `path`, which is relative and clean. "." never matches.
  bool matches(std::string_view path) const;

  bool empty() const { return entries_.empty(); }
  bool has_exceptions() const;
  /// Whether a pattern without `!` could match a path strictly below `dir`.
  bool may_match_below(std::string_view dir) const;
  /// Whether a `!` pattern could take back a path strictly below `dir`.
  bool exception_may_match_below(std::string_view dir) const;

 private:
  struct Entry {
    Glob glob;
    bool exception;
  };
  std::vector<Entry> entries_;
};

}  // namespace lade
