#include "base/user_namespace.hpp"

#include <gtest/gtest.h>

namespace lade {
namespace {

using Ranges = std::vector<IdRange>;

TEST(SubordinateIds, AreThoseOfTheUserByNameOrNumber) {
  const std::string file =
      "root:1:2\nann:100000:65536\nbob:165536:65536\n1000:300000:10\nann:500000:1\n";
  EXPECT_EQ(subordinate_ids(file, "ann", 1000),
            (Ranges{{100000, 65536}, {300000, 10}, {500000, 1}}));
  EXPECT_EQ(subordinate_ids(file, "bob", 1001), (Ranges{{165536, 65536}}));
  EXPECT_EQ(subordinate_ids(file, "an", 100), Ranges{});
}

TEST(SubordinateIds, LinesThatAreNoneAreSkipped) {
  const std::string file =
      "ann\nann:\nann:1:2:3\nann:x:5\nann:5:x\nann:-1:5\nann:5:0\nann:7:7 \n# ann:1:1\n\nann:9:9";
  EXPECT_EQ(subordinate_ids(file, "ann", 1000), (Ranges{{7, 7}, {9, 9}}));
  EXPECT_EQ(subordinate_ids("", "ann", 1000), Ranges{});
}

TEST(SubordinateIds, RangesThatNoIdCanHaveAreSkipped) {
  EXPECT_EQ(subordinate_ids("ann:4294967295:1\nann:99999999999:1\nann:1:18446744073709551615\n",
                            "ann", 1),
            Ranges{});
  // All together they must fit in behind user 0, too.
  EXPECT_EQ(subordinate_ids("ann:1:4294967294\nann:1:10\n", "ann", 1), (Ranges{{1, 4294967294}}));
}

TEST(SubordinateIds, AUserWithoutANameHasThoseOfTheNumber) {
  EXPECT_EQ(subordinate_ids(":5:5\n1000:7:7\n", "", 1000), (Ranges{{7, 7}}));
}

}  // namespace
}  // namespace lade
