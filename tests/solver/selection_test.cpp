// What a copy takes from a tree, and what of it counts.
#include "solver/ops/selection.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "solver/ops/file_op.hpp"
#include "solver_fixture.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

class SelectionTest : public StateTest {
 protected:
  /// "ROOT" or "ROOT: entry entry" per root; directories end in "/", those there for what is below
  /// in "/.".
  static Lines selected(const Tree& tree, const CopyAction& action) {
    Lines out;
    for (const auto& root : select_sources(tree, action)) {
      std::string line = root.name;
      for (const auto& entry : root.entries) {
        line += " " + entry.relative;
        if (entry.found.entry->type == EntryType::directory) line += entry.parent_only ? "/." : "/";
      }
      out.push_back(line);
    }
    return out;
  }

  static CopyAction from(const std::string& source) {
    return {.source = source, .destination = "/"};
  }

  static CopyAction excluding(const std::string& source, std::vector<std::string> excludes) {
    CopyAction action = from(source);
    action.excludes = std::move(excludes);
    return action;
  }

  static CopyAction parents(const std::string& source) {
    CopyAction action = from(source);
    action.parents = true;
    return action;
  }

  Digest digest(const std::vector<File>& files, const std::string& source = "/d") {
    const auto tree = scan(context(files));
    return selection_digest(*tree, select_sources(*tree, from(source)));
  }
};

TEST_F(SelectionTest, WildcardsNameSeveralRoots) {
  const auto tree = scan(context({{.path = "a.c"},
                                  {.path = "b.c"},
                                  {.path = "b.h"},
                                  {.path = "dir.c/x"},
                                  {.path = "sub/a.c"},
                                  {.path = "sub/deep/z.c"},
                                  {.path = ".hidden.c"}}));
  EXPECT_THAT(selected(*tree, from("/*.c")), ElementsAre(".hidden.c", "a.c", "b.c", "dir.c x"));
  EXPECT_THAT(selected(*tree, from("/?.c")), ElementsAre("a.c", "b.c"));
  EXPECT_THAT(selected(*tree, from("/[ab].[ch]")), ElementsAre("a.c", "b.c", "b.h"));
  EXPECT_THAT(selected(*tree, from("/*/*.c")), ElementsAre("a.c"));
  EXPECT_THAT(selected(*tree, from("/sub/*")), ElementsAre("a.c", "deep z.c"));
  EXPECT_THAT(selected(*tree, from("/s*b/deep")), ElementsAre("deep z.c"));
}

TEST_F(SelectionTest, AWildcardWithoutAMatchIsNoErrorAndANameIs) {
  const auto tree = scan(context({{.path = "main.c"}}));
  EXPECT_THAT(selected(*tree, from("/*.h")), IsEmpty());
  EXPECT_EQ(error_of([&] { selected(*tree, from("/mian.c")); }),
            "\"/mian.c\" not found in the build context\nhint: did you mean /main.c?");
}

TEST_F(SelectionTest, AWildcardsDirectoryHasToBeThere) {
  const auto tree = scan(context({{.path = "d/a"}, {.path = "link", .link = "d"}}));
  EXPECT_THAT(selected(*tree, from("/d/*.c")), IsEmpty());
  EXPECT_THAT(selected(*tree, from("/d/a/*")), IsEmpty());
  EXPECT_THAT(selected(*tree, from("/link/*")), ElementsAre("a"));
  EXPECT_EQ(error_of([&] { selected(*tree, from("/nowhere/*")); }),
            "\"/nowhere\" not found in the build context");
  EXPECT_THAT(error_of([&] { selected(*tree, from("/d/no/*/x")); }), HasSubstr("\"/d/no\""));
}

TEST_F(SelectionTest, AWildcardThatMustMatchNamesItselfIfItDoesNot) {
  const auto tree = scan(context({{.path = "d/a.c"}}));
  CopyAction action = from("/d/*.h");
  action.must_match = true;
  EXPECT_EQ(error_of([&] { selected(*tree, action); }),
            "\"/d/*.h\" not found in the build context");
  action.source = "/d/*.c";
  EXPECT_THAT(selected(*tree, action), ElementsAre("a.c"));
}

TEST_F(SelectionTest, WithoutWildcardsAStarIsAName) {
  const auto tree = scan(context({{.path = "*"}, {.path = "b"}}));
  CopyAction literal = from("/*");
  literal.wildcard = false;
  EXPECT_THAT(selected(*tree, literal), ElementsAre("*"));
}

TEST_F(SelectionTest, ExcludesAreRelativeToTheRoot) {
  const auto tree = scan(context(
      {{.path = "d/a.o"}, {.path = "d/b.c"}, {.path = "d/sub/a.o"}, {.path = "d/sub/b.c"}}));
  EXPECT_THAT(selected(*tree, excluding("/d", {"*.o"})), ElementsAre("d b.c sub/ sub/a.o sub/b.c"));
  EXPECT_THAT(selected(*tree, excluding("/d", {"**/*.o"})), ElementsAre("d b.c sub/ sub/b.c"));
  EXPECT_THAT(selected(*tree, excluding("/d", {"sub"})), ElementsAre("d a.o b.c"));
  EXPECT_THAT(selected(*tree, excluding("/d", {"sub", "!sub/b.c"})),
              ElementsAre("d a.o b.c sub/. sub/b.c"));
  EXPECT_THAT(selected(*tree, excluding("/d", {"d"})),
              ElementsAre("d a.o b.c sub/ sub/a.o sub/b.c"));
}

TEST_F(SelectionTest, ParentsKeepThePathFromTheRootOrThePivot) {
  const auto tree =
      scan(context({{.path = "a/b/c/f"}, {.path = "a/b/g"}, {.path = "a/h"}, {.path = "z"}}));
  EXPECT_THAT(selected(*tree, parents("/a/b/g")), ElementsAre("/ a/. a/b/. a/b/g"));
  EXPECT_THAT(selected(*tree, parents("/a/./b/g")), ElementsAre("a b/. b/g"));
  EXPECT_THAT(selected(*tree, parents("/a/b")), ElementsAre("/ a/. a/b/ a/b/c/ a/b/c/f a/b/g"));
  EXPECT_THAT(selected(*tree, parents("/a/./b/c")), ElementsAre("a b/. b/c/ b/c/f"));
  EXPECT_THAT(selected(*tree, parents("/a/*/g")), ElementsAre("/ a/. a/b/. a/b/g"));
  EXPECT_THAT(selected(*tree, parents("/**/f")), ElementsAre("/ a/. a/b/. a/b/c/. a/b/c/f"));
  EXPECT_THAT(selected(*tree, parents("/a/b/./.")), ElementsAre("b c/ c/f g"));
}

TEST_F(SelectionTest, ParentsOfAMissingNameIsAnErrorAndOfAWildcardNot) {
  const auto tree = scan(context({{.path = "a/b"}}));
  EXPECT_THAT(error_of([&] { selected(*tree, parents("/a/./c")); }),
              HasSubstr("\"/a/c\" not found"));
  EXPECT_THAT(selected(*tree, parents("/x/*")), ElementsAre("/"));
}

TEST_F(SelectionTest, ParentsOfANameThatIsExcludedWhollyAreAnError) {
  const auto tree = scan(context({{.path = "a/b"}, {.path = "a/c"}}));
  CopyAction action = parents("/a");
  action.excludes = {"a/b"};
  EXPECT_THAT(selected(*tree, action), ElementsAre("/ a/ a/c"));
  action.excludes = {"*"};
  EXPECT_EQ(error_of([&] { selected(*tree, action); }), "nothing of '/a' is left by --exclude");
  action.source = "/a*";
  EXPECT_THAT(selected(*tree, action), ElementsAre("/"));
}

TEST_F(SelectionTest, ParentsAllowAWildcardBeforeThePivot) {
  const auto tree = scan(context({{.path = "a1/f"}, {.path = "a2/f"}, {.path = "b/f"}}));
  std::string all;
  for (const auto& line : selected(*tree, parents("/a*/./f"))) all += line + ";";
  EXPECT_EQ(all, "a1 f;a2 f;");
}

TEST_F(SelectionTest, ParentsAreMadeWithTheSourcesMetadata) {
  const auto tree = scan(
      context({{.path = "a/", .mode = 0711}, {.path = "a/b/", .mode = 0700}, {.path = "a/b/f"}}));
  CopyAction action = parents("/a/b/f");
  action.destination = "/x/";
  EXPECT_THAT(
      view({run_file_op(layers(), {}, FileOp{{action}}, {tree})}),
      ElementsAre("d 755 0:0 x", "d 711 0:0 x/a", "d 700 0:0 x/a/b", "f 644 0:0 x/a/b/f = "));
}

// -- digests

TEST_F(SelectionTest, TheDigestIgnoresTimesAndTheRootsOwnLook) {
  const Digest base =
      digest({{.path = "d/", .mode = 0755}, {.path = "d/f", .content = "x", .mtime = 100}});
  EXPECT_EQ(digest({{.path = "d/", .mode = 0755}, {.path = "d/f", .content = "x", .mtime = 200}}),
            base);
  EXPECT_EQ(digest({{.path = "d/", .mode = 0700}, {.path = "d/f", .content = "x", .mtime = 200}}),
            base);
  EXPECT_EQ(digest({{.path = "d/f", .content = "x"}, {.path = "outside"}}), base);
}

TEST_F(SelectionTest, TheDigestSeesEverythingElse) {
  std::map<Digest, std::string> seen;
  const std::pair<const char*, std::vector<File>> cases[] = {
      {"base", {{.path = "d/f", .content = "x"}}},
      {"content", {{.path = "d/f", .content = "y"}}},
      {"mode", {{.path = "d/f", .content = "x", .mode = 0755}}},
      {"name", {{.path = "d/g", .content = "x"}}},
      {"another file", {{.path = "d/f", .content = "x"}, {.path = "d/g"}}},
      {"a directory", {{.path = "d/f", .content = "x"}, {.path = "d/g/"}}},
      {"a directory's mode", {{.path = "d/f", .content = "x"}, {.path = "d/g/", .mode = 0700}}},
      {"a link", {{.path = "d/f", .link = "x"}}},
      {"another link", {{.path = "d/f", .link = "y"}}},
      {"deeper", {{.path = "d/e/f", .content = "x"}}},
  };
  for (const auto& [what, files] : cases) {
    const auto [at, fresh] = seen.emplace(digest(files), what);
    EXPECT_TRUE(fresh) << what << " gives the digest of " << at->second;
  }
}

TEST_F(SelectionTest, TheDigestOfLayersSeesOwners) {
  const auto of = [&](uint32_t uid, uint32_t gid) {
    const auto tree = stack_tree(layers(), {layer({{.path = "f", .uid = uid, .gid = gid}})});
    return selection_digest(*tree, select_sources(*tree, from("/")));
  };
  EXPECT_NE(of(1, 0), of(0, 0));
  EXPECT_NE(of(0, 1), of(0, 0));
  EXPECT_EQ(of(1, 2), of(1, 2));
}

TEST_F(SelectionTest, TheDigestIsTheSameFromADirectoryAndFromALayer) {
  const std::vector<File> files = {
      {.path = "d/f", .content = "x"}, {.path = "d/l", .link = "f"}, {.path = "d/s/"}};
  const auto stack = stack_tree(layers(), {layer(files)});
  EXPECT_EQ(selection_digest(*stack, select_sources(*stack, from("/d"))), digest(files));
}

TEST_F(SelectionTest, TheDigestNamesTheRootsOfAWildcard) {
  EXPECT_NE(digest({{.path = "d1", .content = "x"}}, "/d*"),
            digest({{.path = "d2", .content = "x"}}, "/d*"));
}

TEST_F(SelectionTest, TheDigestSeesWhichFilesAreOne) {
  const File a{.path = "d/a", .content = "x"};
  const auto copied = [&](const char* name) { return File{.path = name, .content = "x"}; };
  const auto linked = [&](const char* name, const char* to) {
    return File{.path = name, .content = "x", .hardlink_to = to};
  };
  const Digest files = digest({a, copied("d/b"), copied("d/c")});
  const Digest ab = digest({a, linked("d/b", "d/a"), copied("d/c")});
  const Digest ac = digest({a, copied("d/b"), linked("d/c", "d/a")});
  const Digest all = digest({a, linked("d/b", "d/a"), linked("d/c", "d/a")});
  EXPECT_EQ(std::set<Digest>({files, ab, ac, all}).size(), 4u);
  // A name that was not selected is no concern of a copy, nor is another source.
  EXPECT_EQ(digest({a, linked("e", "d/a"), copied("d/b"), copied("d/c")}), files);
  EXPECT_EQ(digest({a, linked("d/b", "d/a")}, "/d/*"), digest({a, copied("d/b")}, "/d/*"));
}

TEST_F(SelectionTest, TheDigestOfAMountSeesHowManyLinksAFileHas) {
  const auto of = [&](const std::string& link) {
    const auto tree =
        stack_tree(layers(), {layer({{.path = "d/f", .content = "x"},
                                     {.path = "e", .content = "x", .hardlink_to = link}})});
    return mount_digest(*tree, "/d");
  };
  EXPECT_NE(of("d/f"), of(""));
}

TEST_F(SelectionTest, TheDigestOfAMountSeesTheDirectoryItself) {
  const auto of = [&](const File& directory) {
    const auto tree = stack_tree(layers(), {layer({directory, {.path = "d/f", .content = "x"}})});
    return mount_digest(*tree, "/d");
  };
  const Digest base = of({.path = "d/", .mode = 0755});
  EXPECT_EQ(of({.path = "d/", .mode = 0755, .mtime = 5}), base);
  EXPECT_NE(of({.path = "d/", .mode = 0700}), base);
  EXPECT_NE(of({.path = "d/", .mode = 01755}), base);
  EXPECT_NE(of({.path = "d/", .mode = 0755, .uid = 1}), base);
  EXPECT_NE(of({.path = "d/", .mode = 0755, .gid = 1}), base);
}

TEST_F(SelectionTest, AMountOfWhatIsNotThereHasADigest) {
  const auto tree = stack_tree(layers(), {layer({{.path = "f"}})});
  EXPECT_NE(mount_digest(*tree, "/missing"), mount_digest(*tree, "/other"));
  EXPECT_NE(mount_digest(*tree, "/missing"), mount_digest(*tree, "/f"));
  EXPECT_EQ(mount_digest(*tree, ""), mount_digest(*tree, "/"));
}

}  // namespace
}  // namespace lade
