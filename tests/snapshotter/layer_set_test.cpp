#include "snapshotter/layers/layer_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lade {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

void insert(LayerSet& set, const LayerStack& layers) {
  for (const LayerId layer : layers) set.insert(layer);
}

TEST(LayerSet, TellsWhatItLacksOfAStack) {
  LayerSet set;
  EXPECT_THAT(set.missing({3, 1, 2}), ElementsAre(3, 1, 2));
  insert(set, {1, 2});
  EXPECT_THAT(set.missing({3, 1, 2}), ElementsAre(3));
  EXPECT_THAT(set.missing({1, 2}), IsEmpty());
  EXPECT_THAT(set.missing({}), IsEmpty());
}

TEST(LayerSet, AnswersForStacksThatGrowShrinkAndFork) {
  LayerSet set;
  insert(set, {1, 2, 3, 4});
  EXPECT_THAT(set.missing({1, 2}), IsEmpty());
  EXPECT_THAT(set.missing({1, 2, 3, 5}), ElementsAre(5));
  EXPECT_THAT(set.missing({1, 2, 3, 5, 4}), ElementsAre(5));
  insert(set, {5});
  EXPECT_THAT(set.missing({1, 2, 3, 5, 4, 6}), ElementsAre(6));
  EXPECT_THAT(set.missing({1}), IsEmpty());
  EXPECT_THAT(set.missing({1, 7, 3, 8}), ElementsAre(7, 8));
}

TEST(LayerSet, ForgetsWhatIsTakenOut) {
  LayerSet set;
  insert(set, {1, 2, 3});
  EXPECT_THAT(set.missing({1, 2, 3}), IsEmpty());
  set.keep_only({1, 3, 9});
  EXPECT_THAT(set.missing({1, 2, 3, 9}), ElementsAre(2, 9));
  EXPECT_THAT(set.missing({1}), IsEmpty());
  EXPECT_THAT(set.take(), UnorderedElementsAre(1, 3));
  EXPECT_THAT(set.missing({1}), ElementsAre(1));
}

}  // namespace
}  // namespace lade
