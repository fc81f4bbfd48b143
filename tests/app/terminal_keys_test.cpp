#include "app/run/terminal_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

using Ending = TerminalKeys::Ending;

TEST(TerminalKeys, TheThirdInterruptThatIsNotAnsweredEndsIt) {
  TerminalKeys keys("");
  EXPECT_EQ(keys.take("\x03"), "\x03");
  keys.answered("^C");  // the terminal's own echo
  EXPECT_EQ(keys.take("\x03"), "\x03");
  EXPECT_EQ(keys.ending(), Ending::none);
  EXPECT_EQ(keys.take("\x03"), "\x03");
  EXPECT_EQ(keys.ending(), Ending::interrupted);
}

TEST(TerminalKeys, AShellThatPromptsAgainIsNotEnded) {
  TerminalKeys keys("");
  for (int i = 0; i < 10; ++i) {
    keys.take("\x03");
    keys.answered("^C\r\n# ");
  }
  EXPECT_EQ(keys.ending(), Ending::none);
}

TEST(TerminalKeys, OtherKeysInBetweenCount) {
  TerminalKeys keys("");
  keys.take(
      "\x03\x03"
      "a\x03\x03");
  EXPECT_EQ(keys.ending(), Ending::none);
}

TEST(TerminalKeys, TheDetachKeysEndItAndAreNotPassedOn) {
  TerminalKeys keys(parse_detach_keys("ctrl-p,ctrl-q"));
  EXPECT_EQ(keys.take("ab\x10"), "ab");
  EXPECT_EQ(keys.ending(), Ending::none);
  EXPECT_EQ(keys.take("\x11"), "");
  EXPECT_EQ(keys.ending(), Ending::detached);
}

TEST(TerminalKeys, TheirBeginningIsPassedOnWhenAnotherKeyFollows) {
  TerminalKeys keys(parse_detach_keys("ctrl-p,ctrl-q"));
  EXPECT_EQ(keys.take("\x10"), "");
  EXPECT_EQ(keys.take("x"), "\x10x");
  EXPECT_EQ(keys.take("\x10\x10"), "\x10");
  EXPECT_EQ(keys.take("\x11"), "");
  EXPECT_EQ(keys.ending(), Ending::detached);
}

TEST(TerminalKeys, DetachKeysAreWrittenAsDockersAre) {
  EXPECT_EQ(parse_detach_keys("ctrl-p,ctrl-q"), "\x10\x11");
  EXPECT_EQ(parse_detach_keys("a,CTRL-A,ctrl-],~"), "a\x01\x1d~");
  for (const char* bad : {"", "ctrl-", "ctrl-1", "ab", "a,,b"}) {
    EXPECT_THROW(parse_detach_keys(bad), Error) << bad;
  }
  TerminalKeys one(parse_detach_keys("x"));
  EXPECT_EQ(one.take("ax"), "a");
  EXPECT_EQ(one.ending(), Ending::detached);
}

}  // namespace
}  // namespace lade
