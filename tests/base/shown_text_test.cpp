#include "base/shown_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lade {
namespace {

TEST(ShownText, LongTextKeepsItsBeginningAndItsEnd) {
  EXPECT_EQ(elided("short"), "short");
  EXPECT_EQ(elided("123456789", 9), "123456789");
  EXPECT_EQ(elided("123456789abc", 9), "123456 [... 3 bytes ...] abc");
  const std::string shown = elided("a" + std::string(500'000, 'x') + "b");
  EXPECT_LT(shown.size(), 4100u);
  EXPECT_TRUE(shown.starts_with("axx"));
  EXPECT_TRUE(shown.ends_with("xxb"));
  EXPECT_THAT(shown, testing::HasSubstr(" [... 496002 bytes ...] "));
}

TEST(ShownText, CharactersStayWhole) {
  EXPECT_EQ(elided("ééééééé", 8), "éé [... 8 bytes ...] é") << "cut at 5 and at 11 of 14 bytes";
}

TEST(ShownText, OneIsSingular) {
  EXPECT_EQ(counted(0, "layer"), "0 layers");
  EXPECT_EQ(counted(1, "layer"), "1 layer");
  EXPECT_EQ(counted(2, "layer"), "2 layers");
}

}  // namespace
}  // namespace lade
