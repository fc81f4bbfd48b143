// What scans of a directory remember by what stat says.
#include "solver/source/stat_cache.hpp"

#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kHere = 7;  // a filesystem

class StatCacheTest : public testing::Test {
 protected:
  KnownFile file(std::string_view path) const {
    return {.path = path,
            .stamp = stamp_,
            .filesystem = kHere,
            .content = digest_,
            .link_target = {},
            .xattrs = {}};
  }
  void save(std::vector<KnownFile> files, const Selections& selections = {}) const {
    StatCache::save(path_, {std::move(files), selections, {}});
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
  save({file(""), link});
  StatCache cache(path_);
  EXPECT_EQ(cache.size(), 2u);
  const KnownFile* root = cache.find("", stamp_, kHere);
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root->content, digest_);
  const KnownFile* known = cache.find("link", stamp_, kHere);
  ASSERT_NE(known, nullptr);
  EXPECT_TRUE(known->content.empty());
  EXPECT_EQ(known->link_target, "to/there");
  EXPECT_EQ(known->xattrs, link.xattrs);
  EXPECT_EQ(cache.find("other", stamp_, kHere), nullptr);
}

TEST_F(StatCacheTest, AnyOrderFindsAll) {
  save({file("a"), file("b"), file("c"), file("d")});
  StatCache cache(path_);
  for (const char* path : {"c", "d", "a", "x", "b", "b", "c"}) {
    const KnownFile* known = cache.find(path, stamp_, kHere);
    ASSERT_EQ(known != nullptr, path[0] != 'x') << path;
    if (known) {
      EXPECT_EQ(known->path, path);
    }
  }
}

TEST_F(StatCacheTest, AnyFieldOfTheStampMatters) {
  save({file("f")});
  StatCache cache(path_);
  for (int field = 0; field < 4; ++field) {
    FileStamp other = stamp_;
    if (field == 0) ++other.inode;
    if (field == 1) ++other.size;
    if (field == 2) ++other.mtime_ns;
    if (field == 3) ++other.ctime_ns;
    EXPECT_EQ(cache.find("f", other, kHere), nullptr) << field;
  }
  EXPECT_NE(cache.find("f", stamp_, kHere), nullptr);
}

TEST_F(StatCacheTest, AnotherFilesystemInTheSamePlaceIsNotTheSame) {
  save({file("f")});
  EXPECT_EQ(StatCache(path_).find("f", stamp_, kHere + 1), nullptr);
  EXPECT_NE(StatCache(path_).find("f", stamp_, kHere), nullptr);
}

TEST_F(StatCacheTest, WhatChangedJustNowIsNotSettled) {
  FileStamp fine = stamp_;
  fine.ctime_ns += 1;
  EXPECT_FALSE(fine.is_settled(fine.ctime_ns, true));
  EXPECT_FALSE(fine.is_settled(fine.ctime_ns + 19'999'999, true));
  EXPECT_TRUE(fine.is_settled(fine.ctime_ns + 20'000'000, true));
}

TEST_F(StatCacheTest, TimesWithoutNanosecondsSettleAfterTwoSeconds) {
  EXPECT_FALSE(stamp_.is_settled(stamp_.ctime_ns + 2 * kSecond, true));
  EXPECT_TRUE(stamp_.is_settled(stamp_.ctime_ns + 3 * kSecond, true));
  FileStamp fine = stamp_;
  fine.ctime_ns += 1;
  EXPECT_FALSE(fine.is_settled(fine.ctime_ns + 2 * kSecond, false));
  EXPECT_TRUE(fine.is_settled(fine.ctime_ns + 3 * kSecond, false));
}

TEST_F(StatCacheTest, TimesFarAheadOfTheClockAreSettledAndOthersAreNot) {
  EXPECT_TRUE(stamp_.is_settled(stamp_.ctime_ns - 3601 * kSecond, true));
  EXPECT_FALSE(stamp_.is_settled(stamp_.ctime_ns - 3599 * kSecond, true));
  EXPECT_FALSE(stamp_.is_settled(stamp_.ctime_ns - 3601 * kSecond, false));
}

TEST_F(StatCacheTest, AModificationTimeInTheFutureSaysNothing) {
  FileStamp future = stamp_;
  future.mtime_ns = 500 * kSecond;
  EXPECT_TRUE(future.is_settled(200 * kSecond, true));
}

TEST_F(StatCacheTest, ClocksOfServersAreKeptWhileTheMachineIsUp) {
  StatCache::save(path_, {{file("f")}, {}, {{kHere, {100 * kSecond, 5 * kSecond}}}});
  const ServerClocks clocks = StatCache(path_).clocks();
  ASSERT_EQ(clocks.size(), 1u);
  const ServerClock& clock = clocks.at(kHere);
  EXPECT_EQ(clock.at_least(5 * kSecond), 100 * kSecond);
  EXPECT_EQ(clock.at_least(4 * kSecond), 100 * kSecond);
  EXPECT_GT(clock.at_least(15 * kSecond), 109 * kSecond);
  EXPECT_LT(clock.at_least(15 * kSecond), 110 * kSecond);
  std::string other_boot = *sys::read_file(path_);
  other_boot[other_boot.find(boot_id())] ^= 1;
  sys::write_file_atomically(path_, other_boot);
  EXPECT_TRUE(StatCache(path_).clocks().empty());
  EXPECT_EQ(StatCache(path_).size(), 1u);
}

TEST_F(StatCacheTest, SelectionsAreKept) {
  const Selections selections = {{Digest::of("a"), Digest::of("1")},
                                 {Digest::of("b"), Digest::of("2")}};
  save({file("f")}, selections);
  EXPECT_EQ(StatCache(path_).selections(), selections);
}

TEST_F(StatCacheTest, DamagedFilesAreEmptyCaches) {
  save({file("f"), file("g")}, {{Digest::of("a"), digest_}});
  const std::string good = *sys::read_file(path_);
  for (size_t size = 0; size < good.size(); ++size) {
    sys::write_file_atomically(path_, good.substr(0, size));
    StatCache cache(path_);
    EXPECT_EQ(cache.find("f", stamp_, kHere), nullptr) << size;
    EXPECT_TRUE(cache.selections().empty()) << size;
  }
  sys::write_file_atomically(path_, "something else entirely");
  EXPECT_EQ(StatCache(path_).size(), 0u);
}

TEST_F(StatCacheTest, APlaceThatCannotBeWrittenIsNoError) {
  EXPECT_NO_THROW(StatCache::save(dir_.path() + "/no/such/dir/cache", {{file("f")}, {}, {}}));
}

}  // namespace
}  // namespace lade
