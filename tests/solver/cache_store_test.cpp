// Cache records and aliases in the database.
#include "solver/cache/cache_store.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CacheStoreTest : public testing::Test {
 protected:
  static Digest d(const std::string& name) { return Digest::of(name); }

  CacheRecord record(const std::string& key, const std::string& op, int64_t created_at = 0) {
    CacheRecord record;
    record.key = d(key);
    record.op = d(op);
    record.created_at = created_at;
    record.layers = {1, 2};
    return record;
  }

  TempDir dir_ = TempDir::create("/tmp", "cache-store-");
  std::unique_ptr<Database> database_ = Database::open(dir_.path() + "/lade.db", 1, "");
  CacheStore cache_{*database_};
};

TEST_F(CacheStoreTest, ARecordComesBackWhole) {
  CacheRecord put = record("key", "op", 42);
  put.inputs = {{{1, 2, 3}, Digest()}, {{}, d("selection")}};
  put.components = {{"env A", "A=1"}, {"command", std::string("a\0b", 3)}};
  put.origin = "registry:host/cache:1";
  cache_.put(put);
  const auto found = cache_.find(d("key"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->key, put.key);
  EXPECT_EQ(found->op, put.op);
  EXPECT_EQ(found->created_at, 42);
  EXPECT_EQ(found->layers, put.layers);
  ASSERT_EQ(found->inputs.size(), 2u);
  EXPECT_THAT(found->inputs[0].layers, ElementsAre(1, 2, 3));
  EXPECT_TRUE(found->inputs[0].selection.empty());
  EXPECT_EQ(found->inputs[1].selection, d("selection"));
  EXPECT_EQ(found->components, put.components);
  EXPECT_EQ(found->origin, put.origin);
}

TEST_F(CacheStoreTest, StacksComeBackWhateverTheirOrder) {
  const std::vector<std::vector<int64_t>> stacks = {
      {},           {7},          {7, 8},          {7, 8, 9, 10},       {7, 9, 11},
      {7, 8, 3, 4}, {9, 8, 7, 8}, {5, 5, 6, 6, 7}, {1, 2, 9, 10, 11, 4}};
  for (const auto& stack : stacks) {
    CacheRecord put = record("key", "op");
    put.layers = stack;
    put.inputs = {{stack, d("selection")}, {stack, Digest()}};
    cache_.put(put);
    const auto found = cache_.find(d("key"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->layers, stack);
    EXPECT_EQ(found->inputs.at(0).layers, stack);
    EXPECT_EQ(found->inputs.at(1).layers, stack);
  }
}

TEST_F(CacheStoreTest, ADeepStackOfLayersMadeInOrderTakesFewBytes) {
  CacheRecord put = record("key", "op");
  put.layers.resize(5000);
  std::iota(put.layers.begin(), put.layers.end(), 100);
  cache_.put(put);
  auto row = database_->prepare("SELECT length(layers) FROM records");
  ASSERT_TRUE(row.step());
  EXPECT_LT(row.integer(0), 100);
}

TEST_F(CacheStoreTest, StacksAreReadAsTheyWereWrittenBefore) {
  // All ids, one after the other.
  cache_.put(record("key", "op"));
  database_->execute(
      "UPDATE records SET layers ="
      " x'0300000000000000040000000000000005000000000000000900000000000000'");
  const auto found = cache_.find(d("key"));
  ASSERT_TRUE(found);
  EXPECT_THAT(found->layers, ElementsAre(4, 5, 9));
}

TEST_F(CacheStoreTest, ADamagedRecordIsAMiss) {
  cache_.put(record("key", "op"));
  // A run that nothing goes before, and one of 2^62 layers.
  for (const char* bytes : {"x'0100000000000000ffffffffffffffff'",
                            "x'0200000000000000010000000000000000000000000000c0'"}) {
    database_->execute("UPDATE records SET layers = " + std::string(bytes));
    EXPECT_FALSE(cache_.find(d("key")));
    EXPECT_TRUE(cache_.with_op(d("op"), 10).empty());
    EXPECT_TRUE(cache_.all().empty());
  }
  // The step runs again, and its record takes the place of the damaged one.
  cache_.put(record("key", "op"));
  EXPECT_TRUE(cache_.find(d("key")));
}

TEST_F(CacheStoreTest, WhatIsFoundedOnClaimsSaysSo) {
  CacheRecord put = record("claimed", "op", 9);
  put.claims = {d("one"), d("two")};
  cache_.put(put);
  cache_.put(record("own", "op", 1));
  EXPECT_THAT(cache_.find(d("claimed"))->claims, ElementsAre(d("one"), d("two")));
  EXPECT_THAT(cache_.find(d("own"))->claims, IsEmpty());
  // Contents are compared with this machine's own only.
  const auto found = cache_.with_op(d("op"), 10);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, d("own"));
}

TEST_F(CacheStoreTest, ARecordIsFoundBesideAnAlias) {
  cache_.put(record("target", "op"));
  cache_.put(record("key", "op"));
  cache_.alias(d("key"), d("target"));
  EXPECT_EQ(cache_.find(d("key"))->key, d("target"));
  EXPECT_EQ(cache_.find_itself(d("key"))->key, d("key"));
  EXPECT_FALSE(cache_.find_itself(d("other")));
}

TEST_F(CacheStoreTest, WhatWasFoundWithContentsThatAreWrongIsForgotten) {
  CacheRecord on = record("on", "op");
  on.layers = {5, 6};
  CacheRecord from = record("from", "op");
  from.layers = {7};
  from.inputs = {{{5}, Digest()}};
  cache_.put(on);
  cache_.put(from);
  cache_.put(record("kept", "op"));
  cache_.alias(d("alias"), d("kept"));
  cache_.forget_contents({5});
  EXPECT_FALSE(cache_.find(d("on")));
  EXPECT_FALSE(cache_.find(d("from")));
  EXPECT_TRUE(cache_.find(d("kept")));
  // That two contents were the same is not known any more.
  EXPECT_FALSE(cache_.find(d("alias")));
}

TEST_F(CacheStoreTest, WhatStandsOnALayerIsForgottenWithItsAliases) {
  cache_.put(record("both", "op"));
  cache_.alias(d("alias"), d("both"));
  CacheRecord other = record("other", "op");
  other.layers = {1};
  cache_.put(other);
  cache_.remove_with_layer(2);
  EXPECT_FALSE(cache_.find(d("both")));
  EXPECT_FALSE(cache_.find(d("alias")));
  EXPECT_TRUE(cache_.find(d("other")));
}

TEST_F(CacheStoreTest, AnUnknownKeyIsAMiss) {
  EXPECT_FALSE(cache_.find(d("key")));
}

TEST_F(CacheStoreTest, ARecordWithoutLayersIsAHit) {
  CacheRecord put = record("key", "op");
  put.layers.clear();
  cache_.put(put);
  ASSERT_TRUE(cache_.find(d("key")));
  EXPECT_THAT(cache_.find(d("key"))->layers, IsEmpty());
}

TEST_F(CacheStoreTest, RunningAgainReplacesTheRecord) {
  cache_.put(record("key", "op"));
  CacheRecord again = record("key", "op");
  again.layers = {9};
  cache_.put(again);
  EXPECT_THAT(cache_.find(d("key"))->layers, ElementsAre(9));
  EXPECT_EQ(cache_.with_op(d("op"), 10).size(), 1u);
}

TEST_F(CacheStoreTest, AnAliasLeadsToItsTarget) {
  cache_.put(record("target", "op"));
  cache_.alias(d("other"), d("target"));
  ASSERT_TRUE(cache_.find(d("other")));
  EXPECT_EQ(cache_.find(d("other"))->key, d("target"));
}

TEST_F(CacheStoreTest, AnAliasCanBePointedElsewhere) {
  cache_.put(record("one", "op"));
  cache_.put(record("two", "op"));
  cache_.alias(d("key"), d("one"));
  cache_.alias(d("key"), d("two"));
  EXPECT_EQ(cache_.find(d("key"))->key, d("two"));
}

TEST_F(CacheStoreTest, AnAliasOfItselfChangesNothing) {
  cache_.put(record("key", "op"));
  cache_.alias(d("key"), d("key"));
  EXPECT_TRUE(cache_.find(d("key")));
}

TEST_F(CacheStoreTest, ARecordOfItsOwnReplacesAnAlias) {
  cache_.put(record("target", "op"));
  cache_.alias(d("key"), d("target"));
  cache_.put(record("key", "op"));
  EXPECT_EQ(cache_.find(d("key"))->key, d("key"));
}

TEST_F(CacheStoreTest, RemovingARecordRemovesWhatLedToIt) {
  cache_.put(record("target", "op"));
  cache_.put(record("kept", "op"));
  cache_.alias(d("gone"), d("target"));
  cache_.alias(d("stays"), d("kept"));
  cache_.remove(d("target"));
  EXPECT_FALSE(cache_.find(d("target")));
  EXPECT_FALSE(cache_.find(d("gone")));
  EXPECT_TRUE(cache_.find(d("stays")));
}

TEST_F(CacheStoreTest, RecordsOfAnOpComeNewestFirstAndLimited) {
  cache_.put(record("old", "op", 1));
  cache_.put(record("new", "op", 3));
  cache_.put(record("middle", "op", 2));
  cache_.put(record("other", "another op", 9));
  std::vector<Digest> keys;
  for (const auto& found : cache_.with_op(d("op"), 2)) keys.push_back(found.key);
  EXPECT_THAT(keys, ElementsAre(d("new"), d("middle")));
}

TEST_F(CacheStoreTest, RecordsOutliveTheStore) {
  cache_.put(record("key", "op"));
  CacheStore second(*database_);
  EXPECT_TRUE(second.find(d("key")));
  const auto reopened = Database::open(dir_.path() + "/lade.db", 1, "");
  EXPECT_TRUE(CacheStore(*reopened).find(d("key")));
}

}  // namespace
}  // namespace lade
