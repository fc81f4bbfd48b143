// What scans of a directory remember by what stat says.
#include "solver/source/stat_cache.hpp"

#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class StatCacheTest : public testing::Test {
 protected:
  KnownFile file(std::string_view path) const {
    return {.path = path, .stamp = stamp_, .content = digest_, .link_target = {}, .xattrs = {}};
  }

  FileStamp stamp_{1, 2, 100 * kSecond, 101 * kSecond};
  Digest digest_ = Digest::of("x");
  TempDir dir_ = TempDir::create("/tmp", "stat-cache-");
  std::string path_ = dir_.path() + "/cache";
};

TEST_F(StatCacheTest, RemembersAllOfAFile) {
  EXPECT_EQ(StatCache(path_).size(), 0u);
  KnownFile link = file("link");
  link.content = Digest();
  link.link_target = "to/there";
  link.xattrs = {{"user.a", "1"}, {"user.b", std::string("\0\1", 2)}};
  StatCache::save(path_, {file(""), link}, {});
  StatCache cache(path_);
  EXPECT_EQ(cache.size(), 2u);
  const KnownFile* root = cache.find("", stamp_);
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root->content, digest_);
  const KnownFile* known = cache.find("link", stamp_);
  ASSERT_NE(known, nullptr);
  EXPECT_TRUE(known->content.empty());
  EXPECT_EQ(known->link_target, "to/there");
  EXPECT_EQ(known->xattrs, link.xattrs);
  EXPECT_EQ(cache.find("other", stamp_), nullptr);
}

TEST_F(StatCacheTest, AnyOrderFindsAll) {
  StatCache::save(path_, {file("a"), file("b"), file("c"), file("d")}, {});
  StatCache cache(path_);
  for (const char* path : {"c", "d", "a", "x", "b", "b", "c"}) {
    const KnownFile* known = cache.find(path, stamp_);
    ASSERT_EQ(known != nullptr, path[0] != 'x') << path;
    if (known) {
      EXPECT_EQ(known->path, path);
    }
  }
}

TEST_F(StatCacheTest, AnyFieldOfTheStampMatters) {
  StatCache::save(path_, {file("f")}, {});
  StatCache cache(path_);
  for (int field = 0; field < 4; ++field) {
    FileStamp other = stamp_;
    if (field == 0) ++other.inode;
    if (field == 1) ++other.size;
    if (field == 2) ++other.mtime_ns;
    if (field == 3) ++other.ctime_ns;
    EXPECT_EQ(cache.find("f", other), nullptr) << field;
  }
  EXPECT_NE(cache.find("f", stamp_), nullptr);
}

TEST_F(StatCacheTest, WhatChangedJustNowIsNotSettled) {
  EXPECT_FALSE(stamp_.is_settled(stamp_.ctime_ns));
  EXPECT_FALSE(stamp_.is_settled(stamp_.ctime_ns + 19'999'999));
  EXPECT_TRUE(stamp_.is_settled(stamp_.ctime_ns + 20'000'000));
  FileStamp future = stamp_;
  future.mtime_ns = 500 * kSecond;
  EXPECT_FALSE(future.is_settled(200 * kSecond));
}

TEST_F(StatCacheTest, SelectionsAreKept) {
  const Selections selections = {{Digest::of("a"), Digest::of("1")},
                                 {Digest::of("b"), Digest::of("2")}};
  StatCache::save(path_, {file("f")}, selections);
  EXPECT_EQ(StatCache(path_).selections(), selections);
}

TEST_F(StatCacheTest, DamagedFilesAreEmptyCaches) {
  StatCache::save(path_, {file("f"), file("g")}, {{Digest::of("a"), digest_}});
  const std::string good = *sys::read_file(path_);
  for (size_t size = 0; size < good.size(); ++size) {
    sys::write_file_atomically(path_, good.substr(0, size));
    StatCache cache(path_);
    EXPECT_EQ(cache.find("f", stamp_), nullptr) << size;
    EXPECT_TRUE(cache.selections().empty()) << size;
  }
  sys::write_file_atomically(path_, "something else entirely");
  EXPECT_EQ(StatCache(path_).size(), 0u);
}

TEST_F(StatCacheTest, APlaceThatCannotBeWrittenIsNoError) {
  EXPECT_NO_THROW(StatCache::save(dir_.path() + "/no/such/dir/cache", {file("f")}, {}));
}

}  // namespace
}  // namespace lade
