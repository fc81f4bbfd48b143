#include "snapshotter/tree/layer_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "layers.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using namespace testing_layers;

std::vector<std::string> paths(const LayerIndex& index) {
  std::vector<std::string> out;
  for (const auto& entry : index.entries()) out.push_back(entry.path);
  return out;
}

Entry hashed(Entry entry, std::string_view content) {
  entry.size = content.size();
  entry.content = Digest::of(content);
  return entry;
}

TEST(ComparePaths, PutsADirectoryRightBeforeWhatIsInIt) {
  EXPECT_TRUE(compare_paths("a", "a/b") < 0);
  EXPECT_TRUE(compare_paths("a/b", "a.b") < 0);
  EXPECT_TRUE(compare_paths("a/b", "a\x01") < 0);
  EXPECT_TRUE(compare_paths("", "a") < 0);
  EXPECT_TRUE(compare_paths("\xff", "z") > 0);
  EXPECT_TRUE(compare_paths("usr/share/doc/x", "usr/share/doc/x") == 0);
  EXPECT_TRUE(compare_paths("0123456789abcdef", "0123456789abcdefg") < 0);
  EXPECT_TRUE(compare_paths("01234567x", "01234567y") < 0);
}

TEST(LayerIndexTest, SortsAndKeepsTheLastOfEqualPaths) {
  const LayerIndex index({file("b.x"), dir("b"), file("b/c"), file("a", 1), file("a", 2)});
  EXPECT_THAT(paths(index), ElementsAre("a", "b", "b/c", "b.x"));
  EXPECT_EQ(index.find("a")->size, 2U);
  EXPECT_EQ(index.find("b/d"), nullptr);
}

TEST(LayerIndexTest, AddsParentsThatAreLeftOut) {
  const LayerIndex index({file("a/b/c"), file("a/b/d"), file("x/y")});
  EXPECT_THAT(paths(index), ElementsAre("a", "a/b", "a/b/c", "a/b/d", "x", "x/y"));
  EXPECT_EQ(index.find("a/b")->mode, 0755U);
  EXPECT_EQ(index.find("a/b")->type, EntryType::directory);
}

TEST(LayerIndexTest, SubtreesAreRanges) {
  const LayerIndex index({dir("a"), dir("a/b"), file("a/b/c"), file("a.x"), dir("d")});
  const std::vector<size_t> ends = {3, 3, 3, 4, 5};
  for (size_t i = 0; i < ends.size(); ++i) EXPECT_EQ(index.subtree_end(i), ends[i]) << i;
}

TEST(LayerIndexTest, RefusesPathsThatAreNotCleanOrBelowAFile) {
  for (const char* path : {"/a", "a/", "a//b", ".", "a/..", "..", "a/./b"}) {
    EXPECT_THROW(LayerIndex({file(path)}), Error) << path;
  }
  EXPECT_THROW(LayerIndex({file(std::string("a\0b", 3))}), Error);
  EXPECT_THROW(LayerIndex({file("a"), file("a/b")}), Error);
  EXPECT_THROW(LayerIndex({whiteout("a"), file("a/b")}), Error);
}

TEST(LayerIndexTest, FieldsAreCanonical) {
  Entry sloppy = whiteout("w");
  sloppy.mode = 0644;
  sloppy.mtime_sec = 5;
  Entry symlink = link("l", "t");
  symlink.mode = 0644;
  symlink.size = 1;
  const LayerIndex index({sloppy, symlink});
  EXPECT_EQ(*index.find("w"), whiteout("w"));
  EXPECT_EQ(index.find("l")->mode, 0777U);
  EXPECT_EQ(index.find("l")->size, 0U);
}

TEST(LayerIndexTest, HardLinkGroupsAreNumberedByFirstMember) {
  Entry a = file("a");
  Entry b = file("b");
  Entry c = file("c");
  Entry d = file("d");
  Entry lonely = file("e");
  a.hardlink_group = c.hardlink_group = 9;
  b.hardlink_group = d.hardlink_group = 4;
  lonely.hardlink_group = 7;
  a.size = c.size = 10;
  b.size = d.size = 100;
  const LayerIndex index({lonely, d, c, b, a});
  EXPECT_EQ(index.find("a")->hardlink_group, 1U);
  EXPECT_EQ(index.find("c")->hardlink_group, 1U);
  EXPECT_EQ(index.find("b")->hardlink_group, 2U);
  EXPECT_EQ(index.find("e")->hardlink_group, 0U);
  EXPECT_EQ(index.total_size(), 110U);
}

TEST(LayerIndexTest, ReadsBackWhatItWrites) {
  Entry full = hashed(file("d/f"), "content");
  full.mode = 06755;
  full.uid = 4'000'000'000;
  full.gid = 7;
  full.mtime_sec = -3;
  full.mtime_nsec = 999'999'999;
  full.xattrs = {{"user.a", std::string("\0x", 2)}, {"security.capability", "c"}};
  Entry device = file("n");
  device.type = EntryType::block_device;
  device.dev_major = 300;
  device.dev_minor = 1'000'000;
  Entry twin = full;
  twin.path = "g";
  full.hardlink_group = twin.hardlink_group = 1;
  const LayerIndex index(
      {opaque("d"), full, twin, device, link("l", "d/f"), whiteout("w"), dir("")});
  const LayerIndex back = LayerIndex::parse(index.serialize());
  EXPECT_EQ(back.entries(), index.entries());
  EXPECT_EQ(back.content_digest(), index.content_digest());
}

TEST(LayerIndexTest, ParseRefusesDamage) {
  const std::string bytes = LayerIndex({dir("a"), file("a/b", 3), link("c", "a")}).serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(LayerIndex::parse(bytes.substr(0, size)), Error) << size;
  }
  EXPECT_THROW(LayerIndex::parse(bytes + "x"), Error);
  std::string unsorted = bytes;
  unsorted.replace(unsorted.find("a/b"), 3, "Z/b");
  EXPECT_THROW(LayerIndex::parse(unsorted), Error);
}

TEST(LayerIndexTest, ContentDigestSeesEverythingButTimes) {
  const auto digest = [](const std::function<void(std::vector<Entry>&)>& change) {
    std::vector<Entry> entries = {dir("d"), hashed(file("d/f"), "1"), hashed(file("d/g"), "1"),
                                  link("l", "x"), whiteout("w")};
    change(entries);
    return LayerIndex(entries).content_digest();
  };
  const Digest base = digest([](auto&) {});
  EXPECT_EQ(digest([](auto& e) {
              e[1].mtime_sec = 77;
              e[0].mtime_nsec = 3;
            }),
            base);
  EXPECT_NE(digest([](auto& e) { e[1].mode = 0600; }), base);
  EXPECT_NE(digest([](auto& e) { e[1].uid = 1; }), base);
  EXPECT_NE(digest([](auto& e) { e[1].gid = 1; }), base);
  EXPECT_NE(digest([](auto& e) { e[1].content = Digest::of("2"); }), base);
  EXPECT_NE(digest([](auto& e) { e[1].path = "d/h"; }), base);
  EXPECT_NE(digest([](auto& e) { e[0].opaque = true; }), base);
  EXPECT_NE(digest([](auto& e) { e[3].link_target = "y"; }), base);
  EXPECT_NE(digest([](auto& e) { e.pop_back(); }), base);
  EXPECT_NE(digest([](auto& e) { e[1].hardlink_group = e[2].hardlink_group = 1; }), base);
  EXPECT_NE(digest([](auto& e) { e[1].xattrs = {{"user.x", "1"}}; }), base);
  EXPECT_NE(digest([](auto& e) { e[1].xattrs = {{"security.capability", "1"}}; }), base);
  EXPECT_EQ(digest([](auto& e) { e[1].xattrs = {{"security.selinux", "1"}}; }), base);
  EXPECT_EQ(digest([](auto& e) { e[1].xattrs = {{"trusted.x", "1"}}; }), base);
  EXPECT_EQ(digest([](auto& e) { e[1].xattrs = {{"system.posix_acl_access", "1"}}; }), base);
}

TEST(LayerIndexTest, ContentDigestNeedsHashes) {
  const LayerIndex index({file("a", 1)});
  EXPECT_FALSE(index.hashed());
  EXPECT_THROW(index.content_digest(), Error);
}

TEST(HashEntry, XattrsCannotRunIntoEachOther) {
  const auto digest = [](std::vector<sys::Xattr> xattrs) {
    Entry entry = file("f");
    entry.xattrs = std::move(xattrs);
    Hasher hasher;
    hash_entry(hasher, entry, "f");
    return hasher.finish();
  };
  EXPECT_NE(digest({{"user.a", "b"}, {"user.c", "d"}}), digest({{"user.a", "buser.cd"}}));
}

}  // namespace
}  // namespace lade
