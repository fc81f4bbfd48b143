#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/temp_dir.hpp"
#include "layers.hpp"
#include "snapshotter/tree/dir_scan.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace testing_layers;

std::vector<std::string> walked(const MergedIndex& merged, std::string_view dir = "") {
  std::vector<std::string> out;
  merged.walk(dir, [&](const Found& found) {
    out.push_back(found.path);
    return true;
  });
  return out;
}

std::string resolved(const MergedIndex& merged, std::string_view path, bool follow_last = true) {
  const auto found = merged.resolve(path, follow_last);
  return found ? "/" + found->path : "absent";
}

TEST(MergedIndexTest, AnEmptyStackHasARoot) {
  const MergedIndex merged({});
  const auto root = merged.find("");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->entry->type, EntryType::directory);
  EXPECT_EQ(root->entry->mode, 0755U);
  EXPECT_FALSE(merged.find("a"));
  EXPECT_THAT(walked(merged), IsEmpty());
}

TEST(MergedIndexTest, UpperEntriesHideLowerOnes) {
  const MergedIndex merged(
      {layer({file("a", 1), dir("d"), file("d/x", 1)}), layer({file("a", 2)})});
  EXPECT_EQ(merged.find("a")->entry->size, 2U);
  EXPECT_EQ(merged.find("a")->layer, 1U);
  EXPECT_EQ(merged.find("d/x")->layer, 0U);
}

TEST(MergedIndexTest, WhiteoutsHideWhatIsBelowThem) {
  const MergedIndex merged({layer({dir("d"), file("d/x"), file("e")}), layer({whiteout("d")})});
  EXPECT_FALSE(merged.find("d"));
  EXPECT_FALSE(merged.find("d/x"));
  EXPECT_THAT(walked(merged), ElementsAre("e"));
}

TEST(MergedIndexTest, ADirectoryOverAWhiteoutStartsAnew) {
  const MergedIndex merged(
      {layer({dir("d"), file("d/x")}), layer({whiteout("d")}), layer({dir("d"), file("d/y")})});
  EXPECT_THAT(walked(merged), ElementsAre("d", "d/y"));
}

TEST(MergedIndexTest, OpaqueDirectoriesHideLowerEntriesOnly) {
  const MergedIndex merged({layer({dir("d"), file("d/x")}), layer({opaque("d"), file("d/y")}),
                            layer({dir("d"), file("d/z")})});
  EXPECT_THAT(walked(merged), ElementsAre("d", "d/y", "d/z"));
}

TEST(MergedIndexTest, AFileBetweenDirectoriesEndsTheMerge) {
  const MergedIndex merged(
      {layer({dir("d"), file("d/x")}), layer({file("d")}), layer({dir("d"), file("d/y")})});
  EXPECT_THAT(walked(merged), ElementsAre("d", "d/y"));
}

TEST(MergedIndexTest, AnOpaqueRootHidesTheLayersBelow) {
  const MergedIndex merged(
      {layer({file("a")}), layer({opaque(""), file("b")}), layer({file("c")})});
  EXPECT_THAT(walked(merged), ElementsAre("b", "c"));
}

TEST(MergedIndexTest, TheTopMostRootEntryCounts) {
  const MergedIndex merged({layer({dir("", 0700)}), layer({file("a")})});
  EXPECT_EQ(merged.find("")->entry->mode, 0700U);
}

TEST(MergedIndexTest, FindFollowsNothing) {
  const MergedIndex merged({layer({dir("usr"), file("usr/x"), link("bin", "usr")})});
  EXPECT_EQ(merged.find("bin")->entry->type, EntryType::symlink);
  EXPECT_FALSE(merged.find("bin/x"));
  EXPECT_FALSE(merged.find("usr/x/y"));
  EXPECT_FALSE(merged.find("usr/"));
  EXPECT_FALSE(merged.find("/usr"));
  EXPECT_FALSE(merged.find("usr//x"));
}

TEST(MergedIndexTest, ListIsSortedByBytesAndWalkByTree) {
  const MergedIndex merged({layer({dir("a"), file("a/x"), file("a.b")}), layer({file("a-b")})});
  std::vector<std::string> names;
  for (const auto& [name, found] : merged.list("")) {
    names.push_back(name);
    EXPECT_EQ(found.path, name);
  }
  EXPECT_THAT(names, ElementsAre("a", "a-b", "a.b"));
  EXPECT_THAT(walked(merged), ElementsAre("a", "a/x", "a-b", "a.b"));
  EXPECT_EQ(merged.list("a")[0].second.path, "a/x");
  EXPECT_THAT(merged.list("a.b"), IsEmpty());
}

TEST(MergedIndexTest, WalkDoesNotDescendWhereItIsTold) {
  const MergedIndex merged({layer({dir("a"), file("a/x"), file("b")})});
  std::vector<std::string> seen;
  merged.walk("", [&](const Found& found) {
    seen.push_back(found.path);
    return found.path != "a";
  });
  EXPECT_THAT(seen, ElementsAre("a", "b"));
  EXPECT_THAT(walked(merged, "a"), ElementsAre("a/x"));
  EXPECT_THAT(walked(merged, "b"), IsEmpty());
}

TEST(MergedIndexTest, ResolvesAsTheKernelWouldInThisRoot) {
  const MergedIndex merged(
      {layer({dir("usr"), dir("usr/bin"), file("usr/bin/sh"), link("bin", "usr/bin"),
              link("abs", "/usr/bin"), link("up", "../../../usr"), link("sh", "bin/sh"),
              link("gone", "nowhere"), link("usr/here", "bin/../bin/sh")})});
  EXPECT_EQ(resolved(merged, "bin/sh"), "/usr/bin/sh");
  EXPECT_EQ(resolved(merged, "/bin//./sh"), "/usr/bin/sh");
  EXPECT_EQ(resolved(merged, "abs/sh"), "/usr/bin/sh");
  EXPECT_EQ(resolved(merged, "up/bin/sh"), "/usr/bin/sh");
  EXPECT_EQ(resolved(merged, "sh"), "/usr/bin/sh");
  EXPECT_EQ(resolved(merged, "usr/here"), "/usr/bin/sh");
  EXPECT_EQ(resolved(merged, "bin/.."), "/usr");
  EXPECT_EQ(resolved(merged, "../../.."), "/");
  EXPECT_EQ(resolved(merged, ""), "/");
  EXPECT_EQ(resolved(merged, "bin", false), "/bin");
  EXPECT_EQ(resolved(merged, "bin/", false), "/usr/bin");
  EXPECT_EQ(resolved(merged, "usr/bin/sh/"), "absent");
  EXPECT_EQ(resolved(merged, "usr/bin/sh/.."), "absent");
  EXPECT_EQ(resolved(merged, "gone"), "absent");
  EXPECT_EQ(resolved(merged, "gone", false), "/gone");
  EXPECT_EQ(resolved(merged, "nowhere/../usr"), "absent");
}

TEST(MergedIndexTest, LoopsAreErrorsAndLongChainsAreNot) {
  std::vector<Entry> entries = {link("loop", "loop"), file("l0")};
  for (int i = 1; i <= 41; ++i) {
    entries.push_back(link("l" + std::to_string(i), "l" + std::to_string(i - 1)));
  }
  const MergedIndex merged({layer(entries)});
  EXPECT_THROW(merged.resolve("loop"), Error);
  EXPECT_EQ(resolved(merged, "loop", false), "/loop");
  EXPECT_EQ(resolved(merged, "l40"), "/l0");
  EXPECT_THROW(merged.resolve("l41"), Error);
}

TEST(MergedIndexTest, ResolvesForCreation) {
  const MergedIndex merged({layer({dir("usr"), dir("usr/bin"), file("file"), link("bin", "usr/bin"),
                                   link("new", "made/later")})});
  EXPECT_EQ(merged.resolve_for_create("/bin/x", true), "usr/bin/x");
  EXPECT_EQ(merged.resolve_for_create("bin", true), "usr/bin");
  EXPECT_EQ(merged.resolve_for_create("bin", false), "bin");
  EXPECT_EQ(merged.resolve_for_create("a/b/../c/./d", true), "a/c/d");
  EXPECT_EQ(merged.resolve_for_create("new/x", true), "made/later/x");
  EXPECT_EQ(merged.resolve_for_create("../../x", true), "x");
  EXPECT_EQ(merged.resolve_for_create("file", true), "file");
  EXPECT_THROW(merged.resolve_for_create("file/x", true), Error);
  EXPECT_THROW(merged.resolve_for_create("file/", true), Error);
}

TEST(MergedIndexTest, FindAndListAgreeWithWalk) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::shared_ptr<const LayerIndex>> layers;
    for (int i = 0; i < 4; ++i) layers.push_back(layer(random_layer(random)));
    const MergedIndex merged(layers);
    merged.walk("", [&](const Found& found) {
      const auto again = MergedIndex(layers).find(found.path);
      EXPECT_TRUE(again && again->entry == found.entry && again->layer == found.layer)
          << found.path;
      return true;
    });
  }
}

TEST(MergedIndexTest, ShowsWhatARealOverlayShows) {
  if (!can_mount()) GTEST_SKIP() << "needs the right to mount";
  std::mt19937 random(20261122);
  for (int round = 0; round < 40; ++round) {
    const TempDir temp = TempDir::create("/tmp", "lade-test-");
    std::vector<std::shared_ptr<const LayerIndex>> layers;
    std::vector<std::string> lowers;
    const size_t depth = 2 + random() % 5;
    for (size_t i = 0; i < depth; ++i) {
      const std::string path = temp.path() + "/" + std::to_string(i);
      sys::make_dirs(path);
      // Overlayfs lists a whiteout (which it then cannot stat) in a directory that only one layer
      // has.
      layers.push_back(layer(without_idle_whiteouts(random_layer(random), MergedIndex(layers))));
      write_tree(path, layers.back()->entries());
      lowers.insert(lowers.begin(), path);
    }
    const std::string target = temp.path() + "/merged";
    sys::make_dirs(target);
    in_mount_namespace([&] {
      mount_overlay(lowers, "", "", target);
      const UniqueFd top = sys::open(target, O_RDONLY | O_DIRECTORY);
      EXPECT_EQ(lines(MergedIndex(layers)), lines(scan_tree(top.get(), false)))
          << "round " << round;
    });
  }
}

}  // namespace
}  // namespace lade
