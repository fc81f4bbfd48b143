// Digests remembered by what stat says.
#include "solver/source/stat_cache.hpp"

#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class StatCacheTest : public testing::Test {
 protected:
  FileStamp stamp_{1, 2, 100 * kSecond, 101 * kSecond};
  Digest digest_ = Digest::of("x");
  TempDir dir_ = TempDir::create("/tmp", "stat-cache-");
  std::string path_ = dir_.path() + "/cache";
};

TEST_F(StatCacheTest, RemembersAcrossObjects) {
  {
    StatCache cache(path_);
    EXPECT_FALSE(cache.find("f", stamp_));
    cache.put("f", stamp_, digest_, 200 * kSecond);
    EXPECT_EQ(cache.find("f", stamp_), digest_);
    cache.save();
  }
  StatCache cache(path_);
  EXPECT_EQ(cache.find("f", stamp_), digest_);
  EXPECT_FALSE(cache.find("g", stamp_));
}

TEST_F(StatCacheTest, AnyFieldOfTheStampMatters) {
  StatCache cache(path_);
  cache.put("f", stamp_, digest_, 200 * kSecond);
  for (int field = 0; field < 4; ++field) {
    FileStamp other = stamp_;
    if (field == 0) ++other.inode;
    if (field == 1) ++other.size;
    if (field == 2) ++other.mtime_ns;
    if (field == 3) ++other.ctime_ns;
    EXPECT_FALSE(cache.find("f", other)) << field;
  }
}

TEST_F(StatCacheTest, WhatChangedJustBeforeItWasHashedIsForgotten) {
  StatCache cache(path_);
  cache.put("f", stamp_, digest_, stamp_.ctime_ns + 1'000'000);
  EXPECT_FALSE(cache.find("f", stamp_));
  cache.put("f", stamp_, digest_, stamp_.ctime_ns + 20'000'000);
  EXPECT_EQ(cache.find("f", stamp_), digest_);
  // A later racy hash of the same file drops what was known.
  FileStamp changed = stamp_;
  changed.mtime_ns = 150 * kSecond;
  cache.put("f", changed, digest_, 150 * kSecond);
  EXPECT_FALSE(cache.find("f", changed));
  EXPECT_FALSE(cache.find("f", stamp_));
}

TEST_F(StatCacheTest, AFileFromTheFutureIsForgotten) {
  StatCache cache(path_);
  FileStamp future = stamp_;
  future.mtime_ns = 500 * kSecond;
  cache.put("f", future, digest_, 200 * kSecond);
  EXPECT_FALSE(cache.find("f", future));
}

TEST_F(StatCacheTest, DamagedFilesAreEmptyCaches) {
  {
    StatCache cache(path_);
    cache.put("f", stamp_, digest_, 200 * kSecond);
    cache.save();
  }
  const std::string good = *sys::read_file(path_);
  for (size_t size = 0; size < good.size(); ++size) {
    sys::write_file_atomically(path_, good.substr(0, size));
    EXPECT_FALSE(StatCache(path_).find("f", stamp_)) << size;
  }
  sys::write_file_atomically(path_, "something else entirely");
  EXPECT_FALSE(StatCache(path_).find("f", stamp_));
}

TEST_F(StatCacheTest, NothingIsWrittenWhenNothingWasLearnt) {
  StatCache cache(path_);
  cache.save();
  EXPECT_FALSE(sys::read_file(path_));
}

TEST_F(StatCacheTest, APlaceThatCannotBeWrittenIsNoError) {
  StatCache cache(dir_.path() + "/no/such/dir/cache");
  cache.put("f", stamp_, digest_, 200 * kSecond);
  EXPECT_NO_THROW(cache.save());
}

}  // namespace
}  // namespace lade
