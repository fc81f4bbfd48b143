// What of a build's records goes into which cache.
#include <gtest/gtest.h>

#include "exporter/cache_export.hpp"

namespace lade {
namespace {

class ShareableTest : public testing::Test {
 protected:
  /// Into the cache "here".
  std::optional<SharedRecord> shared() const {
    return shareable(record_, [](const std::string& origin) { return origin == "here"; });
  }

  SharedRecord record_{.key = Digest::of("key"),
                       .op = Digest::of("op"),
                       .inputs = {Digest::of("input")},
                       .layers = {1, 2},
                       .created_at = 5,
                       .origins = {},
                       .imported = false,
                       .has_known_inputs = true,
                       .of_result = true};
};

TEST_F(ShareableTest, WhatNoCacheHadASayInGoesEverywhere) {
  ASSERT_TRUE(shared());
  EXPECT_EQ(shared()->key, record_.key);
}

TEST_F(ShareableTest, WhatCameFromTheCacheGoesBack) {
  record_.origins = {"here"};
  for (const bool imported : {false, true}) {
    record_.imported = imported;
    ASSERT_TRUE(shared());
    EXPECT_EQ(shared()->key, record_.key);
  }
}

TEST_F(ShareableTest, WhatAnotherCacheSaidStays) {
  record_.origins = {"there"};
  record_.imported = true;
  EXPECT_FALSE(shared());
  record_.origins = {"here", "there"};
  EXPECT_FALSE(shared());
}

TEST_F(ShareableTest, OfWhatRanOnThatItsContentsAreTold) {
  record_.origins = {"here", "there"};
  const auto told = shared();
  ASSERT_TRUE(told);
  EXPECT_NE(told->key, record_.key);
  EXPECT_EQ(told->op, record_.op);
  EXPECT_EQ(told->inputs, record_.inputs);
  EXPECT_EQ(told->layers, record_.layers);
  // The same experience has the same name.
  record_.key = Digest::of("another key");
  EXPECT_EQ(shared()->key, told->key);
  record_.inputs = {Digest::of("another input")};
  EXPECT_NE(shared()->key, told->key);
}

TEST_F(ShareableTest, ContentsThatWereOnlyClaimedAreNotTold) {
  record_.origins = {"there"};
  record_.has_known_inputs = false;
  EXPECT_FALSE(shared());
}

}  // namespace
}  // namespace lade
