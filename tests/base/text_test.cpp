#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lade {
namespace {

using testing::ElementsAre;

TEST(Split, GivesAllPartsAlsoEmptyOnes) {
  EXPECT_THAT(split("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split(",a,,", ','), ElementsAre("", "a", "", ""));
}

TEST(Join, IsSplitsOpposite) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "", "b"}, ", "), "a, , b");
}

TEST(Trim, TakesBlanksOffBothEnds) {
  EXPECT_EQ(trim(" \t\r\n a b \n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Case, IsAsciisOnly) {
  EXPECT_EQ(to_lower("AbZ-\xc3\x84"), "abz-\xc3\x84");
  EXPECT_EQ(to_upper("aBz-\xc3\xa4"), "ABZ-\xc3\xa4");
}

TEST(Nearest, IsTheCandidateThatWasMeant) {
  EXPECT_EQ(nearest("bulder", {"other", "builder"}), "builder");
  EXPECT_EQ(nearest("BUILDER", {"builder"}), "builder");
  EXPECT_EQ(nearest("x", {"verydifferent"}), "");
  EXPECT_EQ(nearest("anything", {}), "");
  EXPECT_EQ(nearest("mian.c", {"main.c", "main.h"}), "main.c");
}

TEST(ParentOf, IsWhatIsBeforeTheLastSlash) {
  EXPECT_EQ(parent_of("a/b/c"), "a/b");
  EXPECT_EQ(parent_of("a/b"), "a");
  EXPECT_EQ(parent_of("a"), "");
  EXPECT_EQ(parent_of(""), "");
  EXPECT_EQ(parent_of("/a/b"), "/a");
}

TEST(CleanPath, IsGosPathClean) {
  // The table of Go's path_test.go.
  const std::pair<const char*, const char*> cases[] = {
      {"", "."},
      {"abc", "abc"},
      {"abc/def", "abc/def"},
      {"a/b/c", "a/b/c"},
      {".", "."},
      {"..", ".."},
      {"../..", "../.."},
      {"../../abc", "../../abc"},
      {"/abc", "/abc"},
      {"/", "/"},
      {"abc/", "abc"},
      {"abc/def/", "abc/def"},
      {"a/b/c/", "a/b/c"},
      {"./", "."},
      {"../", ".."},
      {"../../", "../.."},
      {"/abc/", "/abc"},
      {"abc//def//ghi", "abc/def/ghi"},
      {"//abc", "/abc"},
      {"///abc", "/abc"},
      {"//abc//", "/abc"},
      {"abc//", "abc"},
      {"abc/./def", "abc/def"},
      {"/./abc/def", "/abc/def"},
      {"abc/.", "abc"},
      {"abc/def/ghi/../jkl", "abc/def/jkl"},
      {"abc/def/../ghi/../jkl", "abc/jkl"},
      {"abc/def/..", "abc"},
      {"abc/def/../..", "."},
      {"/abc/def/../..", "/"},
      {"abc/def/../../..", ".."},
      {"/abc/def/../../..", "/"},
      {"abc/def/../../../ghi/jkl/../../../mno", "../../mno"},
      {"abc/./../def", "def"},
      {"abc//./../def", "def"},
      {"abc/../../././../def", "../../def"},
      {"/..", "/"},
      {"/../a", "/a"},
      {"...", "..."},
      {"a/...", "a/..."},
  };
  for (const auto& [path, cleaned] : cases) {
    EXPECT_EQ(clean_path(path), cleaned) << path;
    EXPECT_EQ(clean_path(cleaned), cleaned) << "again: " << path;
  }
}

TEST(JoinPath, PrefersAnAbsolutePath) {
  EXPECT_EQ(join_path("/a", "b"), "/a/b");
  EXPECT_EQ(join_path("/a/", "../b"), "/b");
  EXPECT_EQ(join_path("/a", "/b/."), "/b");
  EXPECT_EQ(join_path("/a", ""), "/a");
  EXPECT_EQ(join_path("a", "b"), "a/b");
}

TEST(BaseName, IsGosPathBase) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "."},        {".", "."},       {"/.", "."},        {"/", "/"},
      {"////", "/"},    {"x/", "x"},      {"abc", "abc"},     {"abc/def", "def"},
      {"a/b/.x", ".x"}, {"a/b/c.", "c."}, {"a/b/c.x", "c.x"},
  };
  for (const auto& [path, base] : cases) EXPECT_EQ(base_name(path), base) << path;
}

TEST(DirName, IsGosPathDir) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "."},         {".", "."},         {"/.", "/"},
      {"/", "/"},        {"/foo", "/"},      {"x/", "x"},
      {"abc", "."},      {"abc/def", "abc"}, {"abc////def", "abc"},
      {"a/b/.x", "a/b"}, {"a/b/c.", "a/b"},
  };
  for (const auto& [path, dir] : cases) EXPECT_EQ(dir_name(path), dir) << path;
}

}  // namespace
}  // namespace lade
