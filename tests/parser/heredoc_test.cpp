#include "parser/heredoc.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

struct WordRow {
  const char* word;
  const char* name;  // null: no heredoc
  bool expand = true;
  bool strip_tabs = false;
  unsigned descriptor = 0;
};

TEST(HeredocTest, RecognizesItsWord) {
  const std::vector<WordRow> rows{{"<<EOF", "EOF"},
                                  {"<<-EOF", "EOF", true, true},
                                  {"<<\"EOF\"", "EOF", false},
                                  {"<<'EOF'", "EOF", false},
                                  {"<<-'E F'", "E F", false, true},
                                  {"<<E\"O\"F", "EOF", false},
                                  {"<<\\EOF", "EOF"},
                                  {"3<<EOF", "EOF", true, false, 3},
                                  {"<< EOF", "EOF"},
                                  {"<<EOF$x", "EOF$x"},
                                  {"<<", nullptr},
                                  {"<<-", nullptr},
                                  {"<<<EOF", nullptr},
                                  {"a<<EOF", nullptr},
                                  {"<<EOF<", nullptr},
                                  {"<EOF", nullptr},
                                  {"<<\"EOF", nullptr},
                                  {"<<a b", nullptr},
                                  {"", nullptr}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.word);
    const auto heredoc = parse_heredoc_word(row.word);
    ASSERT_EQ(heredoc.has_value(), row.name != nullptr);
    if (!heredoc) continue;
    EXPECT_EQ(heredoc->name, row.name);
    EXPECT_EQ(heredoc->expand, row.expand);
    EXPECT_EQ(heredoc->strip_tabs, row.strip_tabs);
    EXPECT_EQ(heredoc->descriptor, row.descriptor);
  }
}

TEST(HeredocTest, StripsTabsOfEveryLine) {
  EXPECT_EQ(strip_leading_tabs("\ta\n\t\tb\tc\n \td\n\n\t"), "a\nb\tc\n \td\n\n");
  EXPECT_EQ(strip_leading_tabs(""), "");
  EXPECT_EQ(strip_leading_tabs("a"), "a");
}

Script script(const std::string& line) {
  return script_of(parse_command<Run>(line).command);
}

TEST(ScriptTest, OfPlainCommands) {
  EXPECT_EQ(script("RUN [\"a\"]").kind, Script::Kind::exec);
  EXPECT_EQ(script("RUN a  b").kind, Script::Kind::shell);
  EXPECT_EQ(script("RUN a  b").text, "a  b");
  EXPECT_EQ(script("RUN").text, "");
}

TEST(ScriptTest, OfASoleHeredocIsItsContent) {
  const auto result = script("RUN <<-EOF\n\tset -e\n\t$x\n\tEOF");
  EXPECT_EQ(result.kind, Script::Kind::shell);
  EXPECT_EQ(result.text, "set -e\n$x\n");
  EXPECT_EQ(result.summary, "set -e...");
}

TEST(ScriptTest, WithAShebangIsAFile) {
  const auto result = script("RUN <<my.py\n#!/usr/bin/python3\nmy.py");
  EXPECT_EQ(result.kind, Script::Kind::file);
  EXPECT_EQ(result.name, "my.py");
  EXPECT_EQ(result.text, "#!/usr/bin/python3\n");
  EXPECT_EQ(result.summary, "#!/usr/bin/python3");
}

TEST(ScriptTest, PutsOtherHeredocsBackForTheShell) {
  const auto result = script("RUN cat <<A 3<<-\"B\"\na\nA\n\tb\n\tB");
  EXPECT_EQ(result.kind, Script::Kind::shell);
  EXPECT_EQ(result.text, "cat <<A 3<<-\"B\"\na\nA\n\tb\nB");
  EXPECT_EQ(result.summary, "");
}

}  // namespace
}  // namespace lade::parser
