#include "parser/dockerignore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

using testing::ElementsAre;

struct IgnoreRow {
  const char* text;
  const char* path;
  bool excluded;
};

TEST(DockerignoreTest, Excludes) {
  const std::vector<IgnoreRow> rows{{"", "a", false},
                                    {"a", "a", true},
                                    {"a", "b", false},
                                    {"a", "b/a", false},
                                    {"a", "a/b/c", true},
                                    {"a/", "a/b", true},
                                    {"/a", "a", true},
                                    {"./a", "a", true},
                                    {"a//b/../c", "a/c", true},
                                    {"  a  ", "a", true},
                                    {"\ta\r\n", "a", true},
                                    {"\xef\xbb\xbf"
                                     "a",
                                     "a", true},
                                    {"#a", "#a", false},
                                    {" #a", "#a", true},
                                    {"\\#a", "#a", true},
                                    {"a\n\n#c\nb", "b", true},
                                    {"*", "a", true},
                                    {"*", ".a", true},
                                    {"*.go", "x.go", true},
                                    {"*.go", "d/x.go", false},
                                    {"*/x", "d/x", true},
                                    {"*/x", "x", false},
                                    {"**", "a/b", true},
                                    {"**/*.go", "x.go", true},
                                    {"**/*.go", "a/b/x.go", true},
                                    {"**/x", "a/b/x/y", true},
                                    {"a/**", "a", false},
                                    {"a/**", "a/b", true},
                                    {"a/**/b", "a/b", true},
                                    {"a/**/b", "a/x/y/b", true},
                                    {"a/**/b", "a/xb", false},
                                    {"a?c", "abc", true},
                                    {"a?c", "a/c", false},
                                    {"[a-c]x", "bx", true},
                                    {"[^a-c]x", "bx", false},
                                    {"a.b", "axb", false},
                                    {"a+(b)", "a+(b)", true},
                                    {"*\n!a", "a", false},
                                    {"*\n!a", "b", true},
                                    {"!a\n*", "a", true},
                                    {"*\n! a", "a", false},
                                    {"*\n!/a/b", "a/b", false},
                                    {"*\n!a/b", "a/c", true},
                                    {"*\n!a/b", "a", true},
                                    {"a\n!a/b\na/b/c", "a/b/c", true},
                                    {"a\n!a/b\na/b/c", "a/b/d", false},
                                    {"*.md\n!README*.md\nREADME-x.md", "README-x.md", true},
                                    {"*.md\n!README*.md\nREADME-x.md", "README.md", false},
                                    {"**/x\n!**/y/x", "y/x", false},
                                    {".", "a", false},
                                    {"/", "a", false},
                                    {"..", "a", false}};
  for (const auto& row : rows) {
    EXPECT_EQ(Dockerignore::parse(row.text, ".dockerignore").excluded(row.path), row.excluded)
        << testing::PrintToString(row.text) << " on " << row.path;
  }
}

TEST(DockerignoreTest, SaysWhereExcludedDirectoriesMustBeWalked) {
  const auto ignore = Dockerignore::parse("*\n!a/b/c\n!d/*/e\n", ".dockerignore");
  EXPECT_TRUE(ignore.may_contain_included("a"));
  EXPECT_TRUE(ignore.may_contain_included("a/b"));
  EXPECT_FALSE(ignore.may_contain_included("a/b/c"));
  EXPECT_FALSE(ignore.may_contain_included("a/x"));
  EXPECT_FALSE(ignore.may_contain_included("ab"));
  EXPECT_TRUE(ignore.may_contain_included("d"));
  EXPECT_TRUE(ignore.may_contain_included("d/x"));
  EXPECT_FALSE(ignore.may_contain_included("d/x/y"));
  EXPECT_FALSE(Dockerignore::parse("*", "x").may_contain_included("a"));
}

TEST(DockerignoreTest, KeepsNormalisedPatterns) {
  EXPECT_THAT(Dockerignore::parse("/a/\n#x\n! ./b\n\n", "x").patterns(), ElementsAre("a", "!b"));
}

TEST(DockerignoreTest, NamesTheLineOfAMalformedPattern) {
  EXPECT_EQ(error_of([] { Dockerignore::parse("a\n\n[b\n", "x.dockerignore"); }),
            "x.dockerignore:3: malformed pattern '[b': unclosed class");
  EXPECT_EQ(error_of([] { Dockerignore::parse("!\n", "x"); }),
            "x:1: malformed pattern '!': nothing to take back");
}

TEST(DockerignoreTest, OfADefaultExcludesNothing) {
  EXPECT_FALSE(Dockerignore().excluded("a"));
  EXPECT_FALSE(Dockerignore().may_contain_included("a"));
}

}  // namespace
}  // namespace lade::parser
