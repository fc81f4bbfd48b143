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

TEST(ShownText, TerminalsGetColoursAndNoOtherOrders) {
  EXPECT_EQ(for_terminal("plain\ttext\nof lines"), "plain\ttext\nof lines");
  EXPECT_EQ(for_terminal("\x1b[1;31mred\x1b[m text\nnext"),
            "\x1b[1;31mred\x1b[m text\x1b[0m\nnext");
  EXPECT_EQ(for_terminal("\x1b]0;title\a"), "^[]0;title^G");
  EXPECT_EQ(for_terminal("\x1b]52;c;aGk=\x1b\\"), "^[]52;c;aGk=^[\\") << "the clipboard";
  EXPECT_EQ(for_terminal("\x1b[2J\x1b[1A\x1b[?25l"), "^[[2J^[[1A^[[?25l");
  EXPECT_EQ(for_terminal("\x1b[12"), "^[[12") << "an end in the middle";
  EXPECT_EQ(for_terminal("\x1b"), "^[");
  EXPECT_EQ(for_terminal("ERROR\rfine \b\b\x7f"), "ERROR^Mfine ^H^H^?");
  EXPECT_EQ(for_terminal(std::string_view("\0", 1)), "^@");
}

TEST(ShownText, TerminalsGetNoControlCharactersOfOneByteOrOfTwo) {
  EXPECT_EQ(for_terminal("\x9b"
                         "2J"),
            "<9b>2J");
  EXPECT_EQ(for_terminal("\xc2\x9b"
                         "2J"),
            "<9b>2J");
  EXPECT_EQ(for_terminal("caf\xc3\xa9 \xe2\x9c\x93 \xff"), "caf\xc3\xa9 \xe2\x9c\x93 <ff>");
}

TEST(ShownText, OfABarTheLastStateIsShown) {
  EXPECT_EQ(last_state("10%\r50%\r100%"), "100%");
  EXPECT_EQ(last_state("10%\r100%\r"), "100%");
  EXPECT_EQ(last_state("text\r"), "text");
  EXPECT_EQ(last_state("\r"), "");
  EXPECT_EQ(last_state(""), "");
}

TEST(ShownText, OneIsSingular) {
  EXPECT_EQ(counted(0, "layer"), "0 layers");
  EXPECT_EQ(counted(1, "layer"), "1 layer");
  EXPECT_EQ(counted(2, "layer"), "2 layers");
}

}  // namespace
}  // namespace lade
