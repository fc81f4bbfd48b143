// A `.dockerignore`: which files of a context are left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/pattern.hpp"

namespace lade::parser {

/// One pattern per line; the last one that matches a path or one of its parents decides, `!` takes
/// back. "#" starts a comment in column 0 only; blanks around and a "/" in front do not count.
/// Immutable; all functions may be called from several threads.
class Dockerignore {
 public:
  Dockerignore() = default;  ///< excludes nothing

  /// `name` is what errors call the file; they carry the line of a malformed pattern.
  static Dockerignore parse(std::string text, std::string name);

  /// `path` is relative to the context's root, clean, without a "/" in front.
  bool excluded(std::string_view path) const { return matcher_.matches(path); }

  /// Whether an excluded directory must still be walked, since a `!` pattern may take back
  /// something below it. (A taken-back file brings its excluded parent directories with it.)
  bool may_contain_included(std::string_view dir) const {
    return matcher_.exception_may_match_below(dir);
  }

  /// For walkers, which can pass on what is known about a parent; see PatternMatcher::match.
  const PatternMatcher& matcher() const { return matcher_; }

  /// The patterns, normalised; part of a local source's identity.
  const std::vector<std::string>& patterns() const { return patterns_; }
  /// The line of each, from 1.
  const std::vector<int>& lines() const { return lines_; }

 private:
  std::vector<std::string> patterns_;
  std::vector<int> lines_;
  PatternMatcher matcher_;
};

}  // namespace lade::parser
