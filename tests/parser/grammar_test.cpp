#include "parser/grammar.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(DurationTest, IsReadAsGoDoes) {
  const std::vector<std::pair<const char*, int64_t>> rows{
      {"0", 0},
      {"-0", 0},
      {"5s", 5'000'000'000},
      {"+5s", 5'000'000'000},
      {"-5s", -5'000'000'000},
      {"1h2m3.5s", 3'723'500'000'000},
      {".5ms", 500'000},
      {"1.s", 1'000'000'000},
      {"1ns2us3\u00b5s4\u03bcs", 9'001},
      {"0.000000001s", 1},
      {"0.3333333333333333333333h", 1'200'000'000'000},
      {"1m1m", 120'000'000'000},
      {"2562047h47m16.854775807s", 9'223'372'036'854'775'807}};
  for (const auto& [text, expected] : rows) {
    SCOPED_TRACE(text);
    EXPECT_NO_THROW(EXPECT_EQ(duration(text).count(), expected));
  }
}

TEST(DurationTest, RejectsEverythingElse) {
  for (const auto* text : {"", "-", "s", ".s", ".", "3", "3.5", "3x", "3 s", "1e3s", "3s4", "--3s",
                           "9223372037s1h", "99999999999999999999s", "2562047h47m16.854775808s"}) {
    EXPECT_THAT(error_of([&] { duration(text); }), HasSubstr("invalid duration")) << text;
  }
}

TEST(ByteSizeTest, KnowsPowersOf1024) {
  EXPECT_EQ(byte_size("0"), 0);
  EXPECT_EQ(byte_size("100"), 100);
  EXPECT_EQ(byte_size("64m"), 64 << 20);
  EXPECT_EQ(byte_size("64MB"), 64 << 20);
  EXPECT_EQ(byte_size("1.5 GiB"), int64_t{3} << 29);
  EXPECT_EQ(byte_size("2kib"), 2048);
  EXPECT_EQ(byte_size("7b"), 7);
  for (const auto* text :
       {"", "m", "-1", "1x", "1 2", "1mm", "1.2.3", "1  k", "9000000p", "\xff"}) {
    EXPECT_EQ(byte_size(text), std::nullopt) << text;
  }
}

TEST(CsvTest, SplitsFieldsAndResolvesQuotes) {
  EXPECT_THAT(csv_fields("a"), ElementsAre("a"));
  EXPECT_THAT(csv_fields("a=b,c"), ElementsAre("a=b", "c"));
  EXPECT_THAT(csv_fields(",a,"), ElementsAre("", "a", ""));
  EXPECT_THAT(csv_fields("\"a,b\",\"c\"\"d\""), ElementsAre("a,b", "c\"d"));
  for (const auto* text : {"a\"b", "\"a", "\"a\"b", "a,\"b\"c"}) {
    EXPECT_THAT(error_of([&] { csv_fields(text); }), HasSubstr("misplaced quote")) << text;
  }
  EXPECT_THAT(error_of([] { csv_fields(""); }), HasSubstr("no value"));
}

TEST(BooleanTest, KnowsGosWords) {
  for (const auto* text : {"1", "t", "T", "true", "True", "TRUE"}) EXPECT_EQ(boolean(text), true);
  for (const auto* text : {"0", "f", "F", "false", "False", "FALSE"}) {
    EXPECT_EQ(boolean(text), false);
  }
  for (const auto* text : {"", "yes", "tRUE", "true ", "10"}) {
    EXPECT_EQ(boolean(text), std::nullopt) << text;
  }
}

TEST(ExecFormTest, ReplacesWhatIsNotUtf8) {
  EXPECT_THAT(*exec_form("[\"a\xff\"]"), ElementsAre("a\ufffd"));
  EXPECT_THAT(*exec_form("[\"\\udc00\\ud83d\\u0041\"]"), ElementsAre("\ufffd\ufffdA"));
}

}  // namespace
}  // namespace lade::parser
