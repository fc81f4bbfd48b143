#include "base/pattern.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

bool match_path(const char* pattern, const char* path) {
  return Glob(pattern, Glob::Dialect::path).matches(path);
}

struct Row {
  const char* pattern;
  const char* path;
  bool matches;
};

TEST(GlobTest, OfPathsMatchesAsGoDoes) {
  const std::vector<Row> rows{{"", "", true},
                              {"abc", "abc", true},
                              {"abc", "ab", false},
                              {"*", "", true},
                              {"*", "abc", true},
                              {"*", "a/b", false},
                              {"*c", "abc", true},
                              {"a*", "abc", true},
                              {"a*", "ab/c", false},
                              {"a*/b", "abc/b", true},
                              {"a*/b", "a/c/b", false},
                              {"a*b*c*d", "axbxcxd", true},
                              {"a*b?c*x", "abxbbxdbxebxczzx", true},
                              {"a*b?c*x", "abxbbxdbxebxczzy", false},
                              {"ab[c]", "abc", true},
                              {"ab[b-d]", "abc", true},
                              {"ab[e-g]", "abc", false},
                              {"ab[^c]", "abc", false},
                              {"ab[^b-d]", "abc", false},
                              {"ab[^e-g]", "abc", true},
                              {"a\\*b", "a*b", true},
                              {"a\\*b", "ab", false},
                              {"a?b", "a☺b", true},
                              {"a[^a]b", "a☺b", true},
                              {"a??b", "a☺b", false},
                              {"[a-ζ]*", "α", true},
                              {"*[a-ζ]", "A", false},
                              {"a?b", "a/b", false},
                              {"a*b", "a/b", false},
                              {"[\\]a]", "]", true},
                              {"[\\-]", "-", true},
                              {"[x\\-]", "x", true},
                              {"[x\\-]", "z", false},
                              {"[\\-x]", "a", false},
                              {"*x", "xxx", true},
                              {"a.b", "axb", false},
                              {"**", "ab", true},
                              {"**", "a/b", false},
                              {"a^b", "a^b", true},
                              {"[!a]", "!", true},
                              {"a]", "a]", true},
                              {"?", "\xff", true},
                              {"\xff", "\xff", true},
                              {"\xff", "\xfe", false}};
  for (const auto& row : rows) {
    EXPECT_EQ(match_path(row.pattern, row.path), row.matches) << row.pattern << " on " << row.path;
  }
}

TEST(GlobTest, OfIgnoreFilesKnowsDirectories) {
  const std::vector<Row> rows{{"**", "file", true},
                              {"**", "dir/file", true},

                              {"**/**", "dir/file", true},
                              {"dir/**", "dir/file", true},
                              {"dir/**", "dir", false},
                              {"dir/**", "dir/a/b", true},
                              {"**/dir", "dir", true},
                              {"**/dir", "a/dir", true},
                              {"**/dir", "adir", false},
                              {"**/dir2/*", "a/dir2/x", true},
                              {"**/dir2/*", "dir2/a/b", false},
                              {"**file", "file", true},
                              {"**file", "dir/xfile", true},
                              {"**/file", "xfile", false},
                              {"**/*.txt", "a/b.txt", true},
                              {"a**/*.txt", "a/dir/file.txt", true},
                              {"a**b", "acb", false},
                              {"a**b", "ac/b", true},
                              {"a/**/b", "a/b", true},
                              {"a/*/b", "a/b", false},
                              {"a/*.txt", "a/.txt", true},
                              {"a[b-d]e", "ace", true},
                              {"a.|)$(}+{bc", "a.|)$(}+{bc", true},
                              {"dist/**/*.js", "dist/x/y.js", true},
                              {"dist/**/*.js", "dist/y.js", true},
                              {"*/dir/**", "x/dir/y", true},
                              {"*/dir/**", "x/dir", false},
                              {"**/foo/bar", "a/foo/bar", true},
                              {"**/foo/bar", "foo/bar", true},
                              {"abc/**", "abc/def/ghi", true},
                              {"**/.foo", "bar/.foo", true},
                              {"**/é", "x/é", true},
                              {"foo**", "foobar/x", true}};
  for (const auto& row : rows) {
    EXPECT_EQ(Glob(row.pattern, Glob::Dialect::ignore).matches(row.path), row.matches)
        << row.pattern << " on " << row.path;
  }
}

TEST(GlobTest, RejectsMalformedPatterns) {
  for (const auto* pattern : {"[", "[a", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^]",
                              "a\\", "x[\\", "[a-", "ok/[bad"}) {
    EXPECT_THROW(Glob(pattern, Glob::Dialect::path), Error) << pattern;
    EXPECT_THROW(Glob(pattern, Glob::Dialect::ignore), Error) << pattern;
  }
}

TEST(GlobTest, KnowsWhetherSomethingBelowCouldMatch) {
  const auto below = [](const char* pattern, const char* dir) {
    return Glob(pattern, Glob::Dialect::ignore).may_match_below(dir);
  };
  EXPECT_TRUE(below("a/b", "a"));
  EXPECT_FALSE(below("a/b", "a/b"));
  EXPECT_FALSE(below("ab", "a"));
  EXPECT_TRUE(below("a/**", "a"));
  EXPECT_TRUE(below("a/b/**", "a"));
  EXPECT_TRUE(below("a/**", "a/x/y"));
  EXPECT_FALSE(below("a/**", "b"));
  EXPECT_TRUE(below("**/x", "any/where"));
  EXPECT_TRUE(below("*/x", "a"));
  EXPECT_FALSE(below("*/x", "a/b"));
  EXPECT_TRUE(below("a*/**/x", "ab/c/d"));
  EXPECT_FALSE(below("a*/**/x", "b"));
  EXPECT_TRUE(below("[ab]/?/c", "b/x"));
}

TEST(GlobTest, DoesNotBacktrack) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  EXPECT_FALSE(Glob(pattern + "b", Glob::Dialect::ignore).matches(std::string(5000, 'a')));
}

TEST(WildcardTest, IsFoundUnlessEscaped) {
  EXPECT_TRUE(has_wildcard("a*"));
  EXPECT_TRUE(has_wildcard("?"));
  EXPECT_TRUE(has_wildcard("[a]"));
  EXPECT_FALSE(has_wildcard("a/b]"));
  EXPECT_FALSE(has_wildcard("\\*\\?\\["));
  EXPECT_TRUE(has_wildcard("\\\\*"));
  EXPECT_FALSE(has_wildcard("a\\"));
}

TEST(PatternMatcherTest, LastMatchDecidesAlsoForParents) {
  const PatternMatcher matcher({"docs", "!docs/README.md", "docs/README.md/old"});
  EXPECT_TRUE(matcher.matches("docs"));
  EXPECT_TRUE(matcher.matches("docs/x/y"));
  EXPECT_FALSE(matcher.matches("docs/README.md"));
  EXPECT_FALSE(matcher.matches("docs/README.md/new"));
  EXPECT_TRUE(matcher.matches("docs/README.md/old"));
  EXPECT_FALSE(matcher.matches("src/docs"));
  EXPECT_FALSE(matcher.matches("."));
}

TEST(PatternMatcherTest, TriesNoPatternThatCouldNotChangeTheVerdict) {
  // The second "a" is never tried on the directory, so its child does not inherit it (moby).
  EXPECT_FALSE(PatternMatcher({"a", "!a/x", "a"}).matches("a/x"));
  EXPECT_TRUE(PatternMatcher({"d/f", "!d"}).matches("d/f"));
}

TEST(PatternMatcherTest, WalkersGetTheSameVerdicts) {
  const PatternMatcher matcher({"a", "!a/b", "**/c"});
  const auto a = matcher.match("a", nullptr);
  const auto b = matcher.match("a/b", &a);
  const auto c = matcher.match("a/b/c", &b);
  EXPECT_EQ(a.matched, matcher.matches("a"));
  EXPECT_EQ(b.matched, matcher.matches("a/b"));
  EXPECT_EQ(c.matched, matcher.matches("a/b/c"));
  EXPECT_TRUE(a.matched);
  EXPECT_FALSE(b.matched);
  EXPECT_TRUE(c.matched);
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(PatternMatcherTest, RunsOfDoubleStarsMeanOne) {
  for (const char* path : {"x", "a/x", "a/b/x", "ax", "a/x/b", "x/y", ""}) {
    EXPECT_EQ(PatternMatcher({"a/**/**/**/x"}).matches(path),
              PatternMatcher({"a/**/x"}).matches(path))
        << path;
    EXPECT_EQ(PatternMatcher({"a/**/**/**"}).matches(path),
              PatternMatcher({"a/**/*"}).matches(path))
        << path;
  }
}

// Each would run for hours if a pattern's cost were the square of its length.
TEST(PatternMatcherTest, HugePatternsOfAStrangerCostLittle) {
  for (const std::string& pattern :
       {repeat("**/", 20'000) + "x", "?" + repeat("**/", 20'000) + "x", repeat("a?", 30'000),
        repeat("*a", 30'000), repeat("**/a*", 10'000), repeat("***/", 15'000) + "x"}) {
    const PatternMatcher matcher({pattern});
    int matched = 0;
    for (int i = 0; i < 2'000; ++i) {
      const std::string path = "some/directory/of/a/project/file" + std::to_string(i);
      matched += matcher.matches(path) ? 1 : 0;
      matched += matcher.may_match_below(path) ? 0 : 1;
    }
    EXPECT_LT(matched, 4'001);
  }
}

TEST(PatternMatcherTest, TrimsAndCleansPatterns) {
  EXPECT_TRUE(PatternMatcher({"  a//b/../c/ "}).matches("a/c"));
  EXPECT_TRUE(PatternMatcher({"**/"}).matches("a"));
  EXPECT_TRUE(PatternMatcher({"", "  "}).empty());
  EXPECT_TRUE(PatternMatcher({"!a"}).has_exceptions());
  EXPECT_FALSE(PatternMatcher({"a"}).has_exceptions());
  EXPECT_THROW(PatternMatcher({"!"}), Error);
  EXPECT_THROW(PatternMatcher({"["}), Error);
}

TEST(PatternMatcherTest, PrunesInBothDirections) {
  const PatternMatcher matcher({"src/**/x", "!keep/me"});
  EXPECT_TRUE(matcher.may_match_below("src"));
  EXPECT_FALSE(matcher.may_match_below("lib"));
  EXPECT_TRUE(matcher.exception_may_match_below("keep"));
  EXPECT_FALSE(matcher.exception_may_match_below("src"));
}

}  // namespace
}  // namespace lade
