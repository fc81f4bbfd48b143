#include "parser/lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

LogicalLines read(std::string_view text) {
  return read_lines(text, [](int first, int last) { return SourceRange{nullptr, first, last}; });
}

TEST(LinesTest, JoinsContinuationsWithoutTheLineEnd) {
  const auto lines = read("RUN a && \\\n    b\nRUN c\n").lines;
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, "RUN a &&     b");
  EXPECT_EQ(lines[0].range.first_line, 1);
  EXPECT_EQ(lines[0].range.last_line, 2);
  EXPECT_EQ(lines[1].range.first_line, 3);
}

TEST(LinesTest, CountsHeredocsToTheirInstruction) {
  const auto lines = read("RUN <<EOF\na\nEOF\nRUN b").lines;
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].range.last_line, 3);
  EXPECT_EQ(lines[0].heredocs.at(0).content, "a\n");
  EXPECT_EQ(lines[1].range.first_line, 4);
}

TEST(LinesTest, KeepsCommentsForTheInstructionBelow) {
  const auto lines = read("# x=1\n# one\n\n  # two\nRUN a\n# lost\n#\nRUN b\n").lines;
  ASSERT_EQ(lines.size(), 2u);
  // An indented one keeps its "#": BuildKit cuts off the first byte of the line.
  EXPECT_THAT(lines[0].comments, ElementsAre("x=1", "one", "# two"));
  EXPECT_THAT(lines[1].comments, ElementsAre());
}

TEST(LinesTest, AcceptsLinesUpToTheLimit) {
  EXPECT_EQ(read(std::string(kMaxLineSize, 'x') + "\n").lines.at(0).text.size(), kMaxLineSize);
  EXPECT_EQ(error_of([] { read("RUN a\n" + std::string(kMaxLineSize + 1, 'x')); }),
            "<unknown>:2: line greater than max allowed size of 65535");
}

TEST(LinesTest, RejectsNulBytesInInstructionsOnly) {
  const std::string nul(1, '\0');
  EXPECT_THAT(error_of([&] { read("RUN a" + nul); }), HasSubstr("NUL byte"));
  EXPECT_EQ(read("# " + nul + "\nRUN <<EOF\n" + nul + "\nEOF\n").lines.at(0).heredocs.at(0).content,
            nul + "\n");
}

TEST(LinesTest, TakesManyLinesInLinearTime) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "RUN a \\\n  b \\\n# c\n\n";
  EXPECT_EQ(read(text).lines.size(), 1u);
  text.clear();
  for (int i = 0; i < 200000; ++i) text += "RUN <<E\nx\nE\n";
  EXPECT_EQ(read(text).lines.size(), 200000u);
}

}  // namespace
}  // namespace lade::parser
