// Go's formats, which history texts are made of.
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

#include "solver/lower/stage.hpp"
#include "support.hpp"

namespace lade::lowering {
namespace {

TEST(GoQuote, IsGosQuoteVerb) {
  const std::pair<std::string, const char*> cases[] = {
      {"", R"("")"},
      {"plain text", R"("plain text")"},
      {"a\"b\\c'd", R"("a\"b\\c'd")"},
      {"\a\b\f\n\r\t\v", R"("\a\b\f\n\r\t\v")"},
      {std::string("\0\x01\x1f\x7f", 4), R"("\x00\x01\x1f\x7f")"},
      {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
      {"\xe4\xb8\xad\xf0\x9f\x9a\xa2", "\"\xe4\xb8\xad\xf0\x9f\x9a\xa2\""},
      {"\xff\xc3", R"("\xff\xc3")"},
      {"\xc0\x80", R"("\xc0\x80")"},          // overlong
      {"\xed\xa0\x80", R"("\xed\xa0\x80")"},  // a surrogate
      {"\xc2\x85", R"("\u0085")"},
      {"\xc2\xa0", R"("\u00a0")"},
      {"\xe2\x80\x8b", R"("\u200b")"},
      {"\xef\xbb\xbf", R"("\ufeff")"},
      {"\xef\xbf\xbd", "\"\xef\xbf\xbd\""},
      {"\xf3\xa0\x80\x81", R"("\U000e0001")"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(go_quote(text), expected);
}

TEST(GoLists, SeparateByBlanksInBrackets) {
  EXPECT_EQ(go_list({}), "[]");
  EXPECT_EQ(go_list({"a b", "c"}), "[a b c]");
  EXPECT_EQ(go_quoted_list({}), "[]");
  EXPECT_EQ(go_quoted_list({"a b", "c"}), R"(["a b" "c"])");
}

TEST(GoDuration, IsGosDurationString) {
  const std::pair<int64_t, const char*> cases[] = {
      {0, "0s"},
      {1, "1ns"},
      {999, "999ns"},
      {1'000, "1\xc2\xb5s"},
      {1'100, "1.1\xc2\xb5s"},
      {2'200'000, "2.2ms"},
      {15'000'000, "15ms"},
      {1'000'000'000, "1s"},
      {3'300'000'000, "3.3s"},
      {60'000'000'000, "1m0s"},
      {90'500'000'000, "1m30.5s"},
      {245'000'000'000, "4m5s"},
      {245'001'000'000, "4m5.001s"},
      {3'600'000'000'000, "1h0m0s"},
      {18'367'001'000'000, "5h6m7.001s"},
      {480'000'000'001, "8m0.000000001s"},
      {-1'500'000'000, "-1.5s"},
      {std::numeric_limits<int64_t>::max(), "2562047h47m16.854775807s"},
      {std::numeric_limits<int64_t>::min(), "-2562047h47m16.854775808s"},
  };
  for (const auto& [nanoseconds, expected] : cases) EXPECT_EQ(go_duration(nanoseconds), expected);
}

TEST(ParsePort, GivesEveryPortWithItsProtocol) {
  using Ports = std::vector<std::string>;
  const std::pair<const char*, Ports> cases[] = {
      {"80", {"80/tcp"}},
      {"80/", {"80/tcp"}},
      {"0", {"0/tcp"}},
      {"65535/UDP", {"65535/udp"}},
      {"7-9", {"7/tcp", "8/tcp", "9/tcp"}},
      {"8080:80", {"80/tcp"}},
      {"1.2.3.4::80/sctp", {"80/sctp"}},
      {"1-3:4-6", {"4/tcp", "5/tcp", "6/tcp"}},
      {"1-3:4", {"4/tcp"}},
      {"[::1]:1:2", {"2/tcp"}},
  };
  for (const auto& [text, ports] : cases) EXPECT_EQ(parse_port(text), ports) << text;
}

TEST(ParsePort, RefusesWhatIsNoPort) {
  for (const char* text : {"", "a", "-1", "1-", "-", "1:", "65536", "1-65536", "8/tcp/udp", "1-2-3",
                           "80 ", "999999999999"}) {
    EXPECT_NE(error_of([&] { parse_port(text); }), "") << text;
  }
}

}  // namespace
}  // namespace lade::lowering
