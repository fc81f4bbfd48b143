#include "builder/options/build_values.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

TEST(BuildValues, SizesHaveBinaryUnits) {
  EXPECT_EQ(parse_bytes("1048576"), 1048576u);
  EXPECT_EQ(parse_bytes("64m"), 64u << 20);
  EXPECT_EQ(parse_bytes("1G"), 1u << 30);
  EXPECT_EQ(parse_bytes("1.5k"), 1536u);
  EXPECT_EQ(parse_bytes("2MiB"), 2u << 20);
  EXPECT_EQ(parse_bytes("2 mb"), 2u << 20);
  EXPECT_EQ(parse_bytes("7b"), 7u);
}

TEST(BuildValues, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", "m", "1x", "1mm", "-1", "1e30", "1 2", "0x10", "99999999999p"}) {
    EXPECT_THROW(parse_bytes(text), Error) << text;
  }
}

TEST(BuildValues, LimitsHaveASoftAndAHardValue) {
  const Ulimit both = parse_ulimit("nofile=1024:4096");
  EXPECT_EQ(both.name, "nofile");
  EXPECT_EQ(both.soft, 1024);
  EXPECT_EQ(both.hard, 4096);
  EXPECT_EQ(parse_ulimit("core=5").hard, 5);
  EXPECT_EQ(parse_ulimit("nproc=-1").soft, -1);
  EXPECT_EQ(parse_ulimit("nproc=5:-1").hard, -1);
}

TEST(BuildValues, WhatIsNoLimitIsRefused) {
  for (const char* text : {"", "nofile", "=1", "nofil=1", "nofile=", "nofile=a", "nofile=2:1",
                           "nofile=-1:5", "nofile=1:2:3", "nofile=-2"}) {
    EXPECT_THROW(parse_ulimit(text), Error) << text;
  }
}

TEST(BuildValues, DurationsAreGos) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("90s"), milliseconds(90'000));
  EXPECT_EQ(parse_duration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  for (const char* text : {"", "5", "s", "-1s", "0s", "1d", "1s2", "soon"}) {
    EXPECT_THROW(parse_duration(text), Error) << text;
  }
}

TEST(BuildValues, CountsAreNotNegative) {
  EXPECT_EQ(parse_count("0"), 0);
  EXPECT_EQ(parse_count("12"), 12);
  for (const char* text : {"", "-1", "x", "1x", "99999999999"}) {
    EXPECT_THROW(parse_count(text), Error) << text;
  }
}

}  // namespace
}  // namespace lade
