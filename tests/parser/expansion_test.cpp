#include "parser/expansion.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::optional<std::string> look_up(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> kValues{
      {"V", "value"},      {"E", ""},       {"TWO", "one two"}, {"PATH", "/usr/bin:/bin"},
      {"T", "a.tar.gz"},   {"L", "x\ny"},   {"STAR", "*"},      {"한", "korean"},
      {"Q", "it's \"q\""}, {"_a1", "under"}};
  const auto found = kValues.find(name);
  if (found == kValues.end()) return std::nullopt;
  return found->second;
}

struct Row {
  const char* word;
  const char* expected;
};

void expect_rows(const std::vector<Row>& rows, const ExpansionOptions& options = {}) {
  for (const auto& [word, expected] : rows) {
    SCOPED_TRACE(word);
    EXPECT_NO_THROW(EXPECT_EQ(process_word(word, look_up, options).text, expected));
  }
}

TEST(ExpansionTest, ReplacesVariables) {
  expect_rows({{"", ""},
               {"plain", "plain"},
               {"$V", "value"},
               {"${V}", "value"},
               {"a${V}b", "avalueb"},
               {"$V$V", "valuevalue"},
               {"$V/x", "value/x"},
               {"$Vx", ""},
               {"$_a1-", "under-"},
               {"$UNSET", ""},
               {"${UNSET}x", "x"},
               {"$E", ""},
               {"$TWO", "one two"},
               {"$한", "korean"},
               {"$V한", ""},
               {"$V→", "value→"},
               {"$", "$"},
               {"a$", "a$"},
               {"$.", "$."},
               {"$ V", "$ V"},
               {"$1a", "a"},
               {"$12V", "V"},
               {"$@@", "@"},
               {"$$", ""},
               {"${?}", ""},
               {"${1:-x}", "x"},
               {"}", "}"},
               {"{$V}", "{value}"},
               {"${V}}", "value}"}});
}

TEST(ExpansionTest, TreatsQuotesAndEscapes) {
  expect_rows({{"'$V'", "$V"},
               {"\"$V\"", "value"},
               {"\"'$V'\"", "'value'"},
               {"'\"'", "\""},
               {"a'b'\"c\"d", "abcd"},
               {"\\$V", "$V"},
               {"\\\\$V", "\\value"},
               {"\"\\$V\"", "$V"},
               {"\"\\\"\"", "\""},
               {"\"\\\\\"", "\\"},
               {"\"\\n\"", "\\n"},
               {"'\\n'", "\\n"},
               {"\\n", "n"},
               {"end\\", "end"},
               {"a  b", "a  b"},
               {"''", ""},
               {"$Q", "it's \"q\""},
               {"a<b<<c", "a<b<<c"}});
}

TEST(ExpansionTest, AppliesDefaultsAndAlternatives) {
  expect_rows({{"${V:-d}", "value"},
               {"${V-d}", "value"},
               {"${E:-d}", "d"},
               {"${E-d}", ""},
               {"${U:-d}", "d"},
               {"${U-d}", "d"},
               {"${U:-}", ""},
               {"${V:+a}", "a"},
               {"${V+a}", "a"},
               {"${E:+a}", ""},
               {"${E+a}", "a"},
               {"${U:+a}", ""},
               {"${U+a}", ""},
               {"${V?m}", "value"},
               {"${V:?m}", "value"},
               {"${E?m}", ""},
               {"${U:-$V}", "value"},
               {"${U:-${X:-y}}", "y"},
               {"${U:-a b}", "a b"},
               {"${U:-\"}\"}", "}"},
               {"${U:-\\}}", "}"},
               {"${U:-'$V'}", "$V"},
               {"${V:+${V}:}x", "value:x"},
               {"${U:-a:b}", "a:b"},
               {"${U:-{x}", "{x"}});
}

TEST(ExpansionTest, RemovesPrefixesAndSuffixes) {
  expect_rows({{"${T#a.}", "tar.gz"},  {"${T#*.}", "tar.gz"},  {"${T##*.}", "gz"},
               {"${T%.*}", "a.tar"},   {"${T%%.*}", "a"},      {"${T#x}", "a.tar.gz"},
               {"${T%x}", "a.tar.gz"}, {"${T#}", "a.tar.gz"},  {"${T##}", "a.tar.gz"},
               {"${T#?}", ".tar.gz"},  {"${T%??}", "a.tar."},  {"${T%%*}", ""},
               {"${T%*}", "a.tar.gz"}, {"${U#x}", ""},         {"${V#$STAR}", "value"},
               {"${V##$STAR}", ""},    {"${V#\"va\"}", "lue"}, {"${L#*y}", "x\ny"},
               {"${L#x?}", "x\ny"},    {"${STAR#\\*}", ""},    {"${PATH%:*}", "/usr/bin"},
               {"${한#kor}", "ean"}});
}

TEST(ExpansionTest, ReplacesPatterns) {
  expect_rows({{"${PATH/bin/sbin}", "/usr/sbin:/bin"},
               {"${PATH//bin/sbin}", "/usr/sbin:/sbin"},
               {"${PATH//\\//-}", "-usr-bin:-bin"},
               {"${PATH/*:/}", "/bin"},
               {"${PATH/x/y}", "/usr/bin:/bin"},
               {"${V//?/.}", "....."},
               {"${V/$STAR/x}", "x"},
               {"${V///}", "value"},
               {"${V//$E/-}", "-v-a-l-u-e-"},
               {"${V/$E/-}", "-value"},
               {"${V/l/$E}", "vaue"},
               {"${V/l/$TWO}", "vaone twoue"},
               {"${T//./\\/}", "a\\/tar\\/gz"},
               {"${U/a/b}", ""},
               {"${V//u*/$}", "val$"}});
}

TEST(ExpansionTest, RejectsBadSubstitutionsNamingTheWord) {
  const std::vector<Row> rows{{"'open", "matching single-quote"},
                              {"\"open", "matching double-quote"},
                              {"${", "missing '}'"},
                              {"${V", "missing '}'"},
                              {"${V:", "unsupported modifier"},
                              {"${U:-x", "missing '}'"},
                              {"${U:-${V}", "missing '}'"},
                              {"${}", "bad substitution"},
                              {"${{V}", "bad substitution"},
                              {"${:-x}", "bad substitution"},
                              {"${V:x}", "unsupported modifier (:x)"},
                              {"${V=x}", "unsupported modifier (=)"},
                              {"${V:=x}", "unsupported modifier (:=)"},
                              {"${V:#x}", "unsupported modifier (:#)"},
                              {"${.}", "unsupported modifier (.)"},
                              {"${U?}", "U: is not allowed to be unset"},
                              {"${U:?}", "U: is not allowed to be unset"},
                              {"${E:?}", "E: is not allowed to be empty"},
                              {"${U?tell me}", "U: tell me"},
                              {"${V/a}", "missing '/'"},
                              {"${V/a/b", "missing '}'"},
                              {"${V#\\v}", "can be escaped"}};
  for (const auto& [word, expected] : rows) {
    SCOPED_TRACE(word);
    const auto error = error_of([&] { process_word(word, look_up); });
    EXPECT_THAT(error, HasSubstr(expected));
    EXPECT_THAT(error, HasSubstr("failed to process " + quoted(word)));
  }
}

TEST(ExpansionTest, UsesTheEscapeOfTheFile) {
  expect_rows({{"`$V", "$V"},
               {"\\$V", "\\value"},
               {"c:\\x", "c:\\x"},
               {"\"`\"\"", "\""},
               {"\"a`b\"", "a`b"},
               {"``", "`"}},
              {.escape = '`'});
}

TEST(ExpansionTest, LeavesQuotesOfHeredocsAlone) {
  expect_rows({{"it's $V", "it's value"},
               {"\"$V", "\"value"},
               {"\\$V", "$V"},
               {"a\nb ${U:-'x'}", "a\nb 'x'"}},
              kHeredocExpansion);
}

TEST(ExpansionTest, KeepsWhatItIsToldToKeep) {
  expect_rows({{"'$V' \"$V\"", "'$V' \"value\""}}, {.keep_quotes = true});
  expect_rows({{"\\$V \"\\$V\"", "\\$V \\$V"}}, {.keep_escapes = true});
  expect_rows({{"$U ${U} ${U:-x} ${U#y} ${U/a/b} $V", "$U ${U} ${U:-x} ${U#y} ${U/a/b} value"}},
              {.keep_unset = true});
}

TEST(ExpansionTest, ReportsWhichVariablesWereLookedUp) {
  const auto result = process_word("$V ${E:-$U} ${X+$Y} '$N' \\$N ${T%.*}", look_up);
  EXPECT_THAT(result.used, ElementsAre("E", "T", "V"));
  EXPECT_THAT(result.unset, ElementsAre("U", "X", "Y"));
}

TEST(ExpansionTest, SplitsWordsAtUnquotedBlanks) {
  const auto words = [](std::string_view word) { return process_words(word, look_up); };
  EXPECT_THAT(words(""), IsEmpty());
  EXPECT_THAT(words("  a \t b "), ElementsAre("a", "b"));
  EXPECT_THAT(words("$TWO"), ElementsAre("one", "two"));
  EXPECT_THAT(words("\"$TWO\""), ElementsAre("one two"));
  EXPECT_THAT(words("a$TWO'b c'"), ElementsAre("aone", "twob c"));
  EXPECT_THAT(words("a\\ b"), ElementsAre("a b"));
  EXPECT_THAT(words("$E $U ''"), IsEmpty());
  EXPECT_THAT(words("80${U:-80}"), ElementsAre("8080"));
  EXPECT_THAT(words("a\u00a0b"), ElementsAre("a", "b"));
  EXPECT_THAT(words("<< a <<- b"), ElementsAre("<< a", "<<-", "b"));
}

TEST(ExpansionTest, PassesOtherBytesThrough) {
  expect_rows({{"\xff$V\xc3", "\xffvalue\xc3"}, {"${V/l/\xfe}", "va\xfeue"}});
}

TEST(ExpansionTest, BoundsNestingAndSize) {
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "${U:-";
  EXPECT_THAT(error_of([&] { process_word(nested, look_up); }), HasSubstr("nested too deeply"));

  const std::string large(size_t{1} << 20, 'x');
  std::string word;
  for (int i = 0; i < 40; ++i) word += "$X";
  const auto all_large = [&](std::string_view) { return std::optional(large); };
  EXPECT_THAT(error_of([&] { process_word(word, all_large); }), HasSubstr("too large"));
}

TEST(ExpansionTest, MatchesPatternsWithoutBacktracking) {
  const auto value = [](std::string_view) { return std::optional(std::string(4000, 'a')); };
  EXPECT_EQ(process_word("${V#*a*a*a*a*a*a*a*a*a*a*b}", value).text, std::string(4000, 'a'));
  EXPECT_EQ(process_word("${V//a*a*a*a*a*b/x}", value).text, std::string(4000, 'a'));
}

}  // namespace
}  // namespace lade::parser
