// What other frontends than Dockerfiles ask of a FileOp, on real layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "solver/ops/diff_op.hpp"
#include "solver/ops/file_op.hpp"
#include "solver_fixture.hpp"
#include "support.hpp"

namespace lade {
namespace {

using namespace testing_solver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FileActionsTest : public StateTest {
 protected:
  LayerStack apply(std::vector<FileAction> actions, LayerStack base = {},
                   const std::vector<File>& files = {}) {
    const auto tree = scan(context(files));
    base.push_back(run_file_op(layers(), base, FileOp{std::move(actions)}, {tree}));
    return base;
  }

  static MakeFileAction file(const std::string& path, const std::string& content = "") {
    MakeFileAction made;
    made.content = content;
    made.destination = path;
    made.parents = false;
    return made;
  }

  std::string failure(std::vector<FileAction> actions, LayerStack base = {},
                      const std::vector<File>& files = {}) {
    return error_of([&] { apply(std::move(actions), std::move(base), files); });
  }
};

// -- copies

TEST_F(FileActionsTest, ADirectoryIsCopiedItselfIfAsked) {
  const std::vector<File> files = {{.path = "d/", .mode = 0700}, {.path = "d/f", .content = "1"}};
  const CopyAction copy{.source = "/d", .destination = "/x", .contents = false};
  EXPECT_THAT(view(apply({copy}, {}, files)), ElementsAre("d 700 0:0 x", "f 644 0:0 x/f = 1"));
  const LayerId base = layer({{.path = "x/"}});
  EXPECT_THAT(view(apply({copy}, {base}, files)),
              ElementsAre("d 755 0:0 x", "d 700 0:0 x/d", "f 644 0:0 x/d/f = 1"));
}

TEST_F(FileActionsTest, IncludesChooseFilesAndTheDirectoriesAboveThem) {
  const std::vector<File> files = {{.path = "a/b/x.go", .content = "1"},
                                   {.path = "a/c/x.txt", .content = "2"},
                                   {.path = "y.go", .content = "3"}};
  EXPECT_THAT(
      view(apply(
          {CopyAction{
              .source = "/", .destination = "/", .excludes = {"y.go"}, .includes = {"**/*.go"}}},
          {}, files)),
      ElementsAre("d 755 0:0 a", "d 755 0:0 a/b", "f 644 0:0 a/b/x.go = 1"));
}

TEST_F(FileActionsTest, OfARequiredPathSomethingMustBeThere) {
  CopyAction copy{.source = "/", .destination = "/", .includes = {"a*"}, .required = {"/a"}};
  EXPECT_EQ(failure({copy}, {}, {{.path = "ab", .content = "1"}}), "");
  EXPECT_THAT(failure({copy}, {}, {{.path = "b", .content = "1"}}), HasSubstr("\"/a\" not found"));
}

TEST_F(FileActionsTest, ALinkIsCopiedItselfIfItIsNotFollowed) {
  const std::vector<File> files = {{.path = "l", .link = "f"}, {.path = "f", .content = "1"}};
  CopyAction copy{.source = "/l", .destination = "/x"};
  EXPECT_THAT(view(apply({copy}, {}, files)), ElementsAre("f 644 0:0 x = 1"));
  copy.follow_source = false;
  EXPECT_THAT(view(apply({copy}, {}, files)), ElementsAre("l x -> f"));
}

TEST_F(FileActionsTest, TheDestinationsParentMayHaveToBeThere) {
  const CopyAction copy{.source = "/f", .destination = "/a/b", .make_destination = false};
  EXPECT_THAT(failure({copy}, {}, {{.path = "f"}}), HasSubstr("no directory /a to copy to"));
  EXPECT_EQ(failure({copy}, {layer({{.path = "a/"}})}, {{.path = "f"}}), "");
}

TEST_F(FileActionsTest, WhatIsInTheWayIsReplacedOnlyIfAsked) {
  const LayerId base = layer({{.path = "a/"}, {.path = "a/old"}, {.path = "b", .content = "old"}});
  const std::vector<File> files = {{.path = "a", .content = "1"}, {.path = "b/f", .content = "2"}};
  CopyAction copy{.source = "/", .destination = "/"};
  EXPECT_THAT(failure({copy}, {base}, files), HasSubstr("cannot replace to directory"));
  copy.replace = true;
  EXPECT_THAT(view(apply({copy}, {base}, files)),
              ElementsAre("f 644 0:0 a = 1", "d 755 0:0 b", "f 644 0:0 b/f = 2"));
}

TEST_F(FileActionsTest, TimesCanBeGiven) {
  MakeFileAction later = file("/m");
  later.mtime = FileTime(6);
  const LayerStack stack =
      apply({CopyAction{.source = "/f", .destination = "/d/f", .mtime = FileTime(5, 7)}, later}, {},
            {{.path = "f"}});
  EXPECT_EQ(entry(stack, "d/f").mtime_sec, 5);
  EXPECT_EQ(entry(stack, "d/f").mtime_nsec, 7u);
  EXPECT_EQ(entry(stack, "d").mtime_sec, 5);
  EXPECT_EQ(entry(stack, "m").mtime_sec, 6);
}

// -- making

TEST_F(FileActionsTest, AFileIsWrittenThroughALinkAndStaysWhoseItWas) {
  const LayerId base =
      layer({{.path = "f", .content = "old", .mode = 0600, .uid = 3}, {.path = "l", .link = "f"}});
  EXPECT_THAT(view(apply({file("/l", "new")}, {base})),
              ElementsAre("f 600 3:0 f = new", "l l -> f"));
}

TEST_F(FileActionsTest, AFileNeedsItsDirectory) {
  EXPECT_THAT(failure({file("/d/f")}), HasSubstr("there is no directory /d"));
}

TEST_F(FileActionsTest, ADirectoryHasItsModeAndMayNeedItsParent) {
  EXPECT_THAT(view(apply({MakeDirAction{.path = "/a/b", .mode = 0711}})),
              ElementsAre("d 711 0:0 a", "d 711 0:0 a/b"));
  EXPECT_THAT(failure({MakeDirAction{.path = "/a/b", .parents = false}}),
              HasSubstr("there is no directory /a"));
  EXPECT_EQ(failure({MakeDirAction{.path = "/a", .parents = false}}, {layer({{.path = "a/"}})}),
            "");
}

TEST_F(FileActionsTest, ALinkIsMadeWhereNothingIs) {
  const SymlinkAction link{.target = "to", .path = "/l", .owner = CopyOwner{"1:2"}};
  const LayerStack made = apply({link});
  EXPECT_THAT(view(made), ElementsAre("l l -> to"));
  EXPECT_EQ(entry(made, "l").uid, 1u);
  EXPECT_EQ(entry(made, "l").gid, 2u);
  EXPECT_THAT(failure({link}, {layer({{.path = "l", .content = "1"}})}), HasSubstr("it exists"));
}

// -- removing

TEST_F(FileActionsTest, WhatIsRemovedIsHidden) {
  const LayerId base = layer({{.path = "d/"}, {.path = "d/f"}, {.path = "e"}, {.path = "f"}});
  const LayerStack stack = apply(
      {RemoveAction{.path = "/d"}, RemoveAction{.path = "e"}, RemoveAction{.path = "/no"}}, {base});
  EXPECT_THAT(view(stack), ElementsAre("f 644 0:0 f = "));
  EXPECT_THAT(own(stack.back()), ElementsAre("w d", "w e"));
}

TEST_F(FileActionsTest, WhatIsNotThereCanBeAnError) {
  EXPECT_THAT(failure({RemoveAction{.path = "/no", .must_exist = true}}),
              HasSubstr("is not there to be removed"));
}

TEST_F(FileActionsTest, ALinkIsRemovedItself) {
  const LayerId base = layer({{.path = "d/"}, {.path = "d/f"}, {.path = "l", .link = "d"}});
  EXPECT_THAT(view(apply({RemoveAction{.path = "/l"}}, {base})),
              ElementsAre("d 755 0:0 d", "f 644 0:0 d/f = "));
  // One on the way is followed.
  EXPECT_THAT(view(apply({RemoveAction{.path = "/l/f"}}, {base})),
              ElementsAre("d 755 0:0 d", "l l -> d"));
}

TEST_F(FileActionsTest, WildcardsRemoveWhatWasThereAndWhatIsNew) {
  const LayerId base = layer({{.path = "d/"}, {.path = "d/a.o"}, {.path = "d/b.c"}});
  EXPECT_THAT(
      view(apply({file("/d/new.o"), RemoveAction{.path = "/d/*.o", .wildcard = true}}, {base})),
      ElementsAre("d 755 0:0 d", "f 644 0:0 d/b.c = "));
}

TEST_F(FileActionsTest, ADirectoryMadeAgainIsEmpty) {
  const LayerId base = layer({{.path = "d/"}, {.path = "d/sub/"}, {.path = "d/sub/f"}});
  const LayerStack stack =
      apply({RemoveAction{.path = "/d"}, MakeDirAction{.path = "/d/sub", .mode = 0700}}, {base});
  EXPECT_THAT(view(stack), ElementsAre("d 700 0:0 d", "d 700 0:0 d/sub"));
}

TEST_F(FileActionsTest, AFileCanTakeTheRemovedOnesPlace) {
  const LayerId base = layer({{.path = "d/"}, {.path = "d/f"}});
  const LayerStack stack = apply({RemoveAction{.path = "/d"}, file("/d", "1")}, {base});
  EXPECT_THAT(view(stack), ElementsAre("f 644 0:0 d = 1"));
  EXPECT_THAT(view(apply({RemoveAction{.path = "/d"}}, stack)), IsEmpty());
}

// -- differences

class DiffTest : public FileActionsTest {};

TEST_F(DiffTest, OfAStackOnItsLowerPartItIsWhatIsAbove) {
  const LayerId a = layer({{.path = "a"}});
  const LayerId b = layer({{.path = "b"}});
  EXPECT_EQ(layers_above({a}, {a, b}), LayerStack{b});
  EXPECT_EQ(layers_above({}, {a, b}), (LayerStack{a, b}));
  EXPECT_EQ(layers_above({a, b}, {a, b}), LayerStack{});
  EXPECT_EQ(layers_above({b}, {a, b}), std::nullopt);
  EXPECT_EQ(layers_above({a, b}, {a}), std::nullopt);
}

TEST_F(DiffTest, MergedOntoTheLowerOneItMakesTheUpperOne) {
  const LayerId lower = layer({{.path = "both", .content = "1"},
                               {.path = "changed", .content = "1"},
                               {.path = "d/"},
                               {.path = "d/gone"},
                               {.path = "d/kept"},
                               {.path = "dir/"},
                               {.path = "dir/f"},
                               {.path = "file", .content = "1"},
                               {.path = "gone/"},
                               {.path = "gone/f"}});
  const LayerId upper = layer({{.path = "both", .content = "1"},
                               {.path = "changed", .content = "2"},
                               {.path = "d/"},
                               {.path = "d/kept"},
                               {.path = "d/new"},
                               {.path = "dir", .content = "now a file"},
                               {.path = "file/"},
                               {.path = "file/f"},
                               {.path = "link", .link = "both"}});
  const LayerId difference = diff_stacks(layers(), {lower}, {upper});
  EXPECT_EQ(view({lower, difference}), view({upper}));
  const auto changes = own(difference);
  EXPECT_THAT(changes, testing::Contains("w gone"));
  EXPECT_THAT(changes, testing::Contains("w d/gone"));
  EXPECT_THAT(changes, testing::Not(testing::Contains(HasSubstr("both ="))));
}

}  // namespace
}  // namespace lade
