#include "parser/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseTest, GroupsCommandsByStage) {
  const auto file = parse_text("ARG A\nFROM a\nRUN x\nFROM b AS c\nRUN y\nRUN z\n");
  ASSERT_EQ(file.stages.size(), 2u);
  EXPECT_EQ(file.meta_args.size(), 1u);
  EXPECT_EQ(file.stages[0].commands.size(), 1u);
  EXPECT_EQ(file.stages[1].commands.size(), 2u);
  EXPECT_EQ(file.stages[1].from.name, "c");
  EXPECT_EQ(file.stages[1].commands[1].origin.range.first_line, 6);
  EXPECT_EQ(file.stages[1].commands[1].origin.range.file, file.source);
}

TEST(ParseTest, RefusesHugeFiles) {
  EXPECT_THAT(error_of([] { parse_text(std::string(kMaxDockerfileSize + 1, '\n')); }),
              HasSubstr("larger than 16 MiB"));
}

TEST(ParseTest, SurvivesDeepJson) {
  const std::string open(30000, '[');
  EXPECT_EQ(parse_command<Cmd>("CMD " + open).command.exec_form, false);
  EXPECT_THAT(error_of([&] { parse_command<Cmd>("CMD " + open + std::string(30000, ']')); }),
              HasSubstr("strings only"));
}

TEST(ParseTest, SurvivesManyWords) {
  std::string line = "ENV";
  for (int i = 0; i < 15000; ++i) line += " a='";
  EXPECT_EQ(parse_command<Env>(line).variables.size(), 7500u);
  EXPECT_EQ(parse_command<Copy>("COPY" + std::string(30000, ' ') + "a b").transfer.sources.size(),
            1u);
}

const SourceRange kFrom{nullptr, 7, 7};

TEST(OnbuildTriggerTest, IsReadWithTheRangeOfItsFrom) {
  const auto command = parse_onbuild_trigger("COPY --from=x a b", kFrom);
  EXPECT_EQ(std::get<Copy>(command.body).from, "x");
  EXPECT_EQ(command.origin.text, "COPY --from=x a b");
  EXPECT_EQ(command.origin.range.first_line, 7);
}

TEST(OnbuildTriggerTest, RoundTripsWithHeredocs) {
  const auto onbuild = parse_command<Onbuild>("ONBUILD RUN <<A cat <<-B\na $x\nA\n\tb\n\tB");
  const auto run = std::get<parser::Run>(parse_onbuild_trigger(onbuild.trigger, kFrom).body);
  ASSERT_EQ(run.command.heredocs.size(), 2u);
  EXPECT_EQ(run.command.heredocs[0].content, "a $x\n");
  EXPECT_EQ(run.command.heredocs[1].content, "\tb\n");
}

TEST(OnbuildTriggerTest, AlwaysEscapesWithBackslash) {
  const auto onbuild = parse_text("# escape=`\nFROM x\nONBUILD ENV a=b\\ c=d\n");
  const auto trigger = std::get<Onbuild>(onbuild.stages[0].commands[0].body).trigger;
  EXPECT_EQ(trigger, "ENV a=b\\ c=d");
  const auto env = std::get<Env>(parse_onbuild_trigger(trigger, kFrom).body);
  ASSERT_EQ(env.variables.size(), 1u);
  EXPECT_EQ(env.variables[0].value, "b\\ c=d");
}

TEST(OnbuildTriggerTest, MustBeOneCommand) {
  const auto error = [](std::string_view text) {
    return error_of([&] { parse_onbuild_trigger(text, kFrom); });
  };
  EXPECT_THAT(error(""), HasSubstr("single instruction"));
  EXPECT_THAT(error("RUN a\nRUN b"), HasSubstr("single instruction"));
  EXPECT_EQ(error("FROM x"),
            "<unknown>:7: ONBUILD trigger: FROM isn't allowed as an ONBUILD trigger");
  EXPECT_EQ(error("RUNN x"),
            "<unknown>:7: ONBUILD trigger: unknown instruction: 'RUNN'\nhint: did you mean RUN?");
  EXPECT_THAT(error("RUN <<EOF"), HasSubstr("<unknown>:7: ONBUILD trigger: unterminated heredoc"));
}

}  // namespace
}  // namespace lade::parser
