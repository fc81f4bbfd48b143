// Checks of the text alone, and what configures all checks. The messages are BuildKit's, which
// people search for.
#include "parser/lint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parser/directives.hpp"
#include "support.hpp"

namespace lade::parser {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<const SourceFile> source(std::string text) {
  return std::make_shared<const SourceFile>(SourceFile{"Dockerfile", std::move(text)});
}

// "LINE RULE: MESSAGE" of all warnings, under the configuration that the file asks for.
std::vector<std::string> lint(const std::string& text,
                              const std::optional<std::string>& build_arg = {}) {
  const auto file = source(text);
  Linter linter(lint_config(file, build_arg));
  parse(file, &linter);
  std::vector<std::string> out;
  for (const auto& warning : linter.warnings()) {
    out.push_back(std::to_string(warning.range.first_line) + " " + std::string(warning.rule->name) +
                  ": " + warning.message);
  }
  return out;
}

struct Case {
  const char* dockerfile;
  std::vector<std::string> warnings;
};

void expect_all(const std::vector<Case>& cases) {
  for (const auto& [dockerfile, warnings] : cases)
    EXPECT_EQ(lint(dockerfile), warnings) << dockerfile;
}

TEST(LintText, StageNameCasing) {
  expect_all(
      {{"FROM x AS Base", {"1 StageNameCasing: Stage name 'Base' should be lowercase"}},
       {"FROM x AS base-1.2_A", {"1 StageNameCasing: Stage name 'base-1.2_A' should be lowercase"}},
       {"FROM x AS base", {}},
       {"FROM X", {}}});
}

TEST(LintText, FromAsCasing) {
  expect_all(
      {{"FROM x as a", {"1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"}},
       {"FROM x As a", {"1 FromAsCasing: 'As' and 'FROM' keywords' casing do not match"}},
       {"from x AS a", {"1 FromAsCasing: 'AS' and 'from' keywords' casing do not match"}},
       {"from x as a", {}},
       // A FROM of mixed case is said to be inconsistent already.
       {"From x as a",
        {"1 ConsistentInstructionCasing: Command 'From' should match the case of the command "
         "majority (uppercase)"}}});
}

TEST(LintText, NoEmptyContinuation) {
  expect_all({{"FROM x\nRUN a \\\n\n  b", {"4 NoEmptyContinuation: Empty continuation line"}},
              {"FROM x\nRUN a \\\n  \n\n  && b \\\n  c",
               {"6 NoEmptyContinuation: Empty continuation line"}},
              {"FROM x\nRUN a \\\n# comment\n  b", {}},
              {"FROM x\n\nRUN a", {}},
              {"FROM x\nRUN <<E\n\nE", {}}});
}

TEST(LintText, ConsistentInstructionCasing) {
  expect_all(
      {{"FROM x\nrun a\nRUN b",
        {"2 ConsistentInstructionCasing: Command 'run' should match the case of the command "
         "majority (uppercase)"}},
       {"from x\nRun a\nRUN b\nrun c",
        {"2 ConsistentInstructionCasing: Command 'Run' should match the case of the command "
         "majority (lowercase)",
         "3 ConsistentInstructionCasing: Command 'RUN' should match the case of the command "
         "majority (lowercase)"}},
       // Neither is in the majority: upper case it is.
       {"from x\nRUN a",
        {"1 ConsistentInstructionCasing: Command 'from' should match the case of the command "
         "majority (uppercase)"}},
       {"from x\nrun a", {}},
       {"arg A=1\nFROM x\nRUN a", {}},
       {"FROM x\nONBUILD run a", {}}});
}

TEST(LintText, StageNames) {
  expect_all({{"FROM x AS a\nFROM x AS b\nFROM x AS a",
               {"3 DuplicateStageName: Duplicate stage name \"a\", stage names should be unique"}},
              {"FROM x AS a\nFROM x\nFROM x", {}},
              {"FROM x AS scratch\nFROM x AS context",
               {"1 ReservedStageName: Stage name should not use the same name as reserved stage "
                "\"scratch\"",
                "2 ReservedStageName: Stage name should not use the same name as reserved stage "
                "\"context\""}},
              {"FROM x AS scratches", {}}});
}

TEST(LintText, MaintainerDeprecated) {
  expect_all({{"FROM x\nMAINTAINER me",
               {"2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using "
                "label"}},
              {"FROM x\nLABEL org.opencontainers.image.authors=me", {}}});
}

TEST(LintText, InvalidDefinitionDescription) {
  const std::string on = "# check=experimental=all\n";
  const auto message = [](const char* what) {
    return std::string("InvalidDefinitionDescription: Comment for ") + what;
  };
  EXPECT_THAT(lint(on + "# nonsense\nARG A=1\n# more of it\nFROM x AS b"),
              ElementsAre("3 " + message("ARG should follow the format: `# A <description>`"),
                          "5 " + message("FROM should follow the format: `# b <description>`")));
  EXPECT_THAT(
      lint(on + "FROM x\n# nonsense\nARG A=1 B"),
      ElementsAre("4 " + message("ARG should follow the format: `# <arg_key> <description>`")));
  // Only the last line of a comment counts; a blank line does not end it, an empty comment does.
  EXPECT_THAT(lint(on + "# A is\n# what it is\nARG A=1\nFROM x"), testing::SizeIs(1));
  EXPECT_THAT(lint(on + "# nonsense\n\nARG A=1\nFROM x"), testing::SizeIs(1));
  EXPECT_THAT(lint(on + "# nonsense\n#\nARG A=1\nFROM x"), IsEmpty());
  EXPECT_THAT(lint(on + "# A is it\nARG A=1\n# b is it\nFROM x AS b\n# anything\nFROM x"),
              IsEmpty());
  EXPECT_THAT(lint("# check=error=false\n# nonsense\nARG A=1\nFROM x"), IsEmpty());
}

TEST(LintConfigTest, SkipsAndAsksForRules) {
  const std::string text = "\nFROM x as A\nMAINTAINER me";
  const auto rules = [&](const std::string& directive) {
    std::string names;
    for (const auto& warning : lint(directive + text)) {
      names += (names.empty() ? "" : " ") + warning.substr(2, warning.find(':') - 2);
    }
    return names;
  };
  EXPECT_EQ(rules("#"), "StageNameCasing FromAsCasing MaintainerDeprecated");
  EXPECT_EQ(rules("# check=skip=StageNameCasing"), "FromAsCasing MaintainerDeprecated");
  EXPECT_EQ(rules("# check=skip=StageNameCasing,MaintainerDeprecated"), "FromAsCasing");
  EXPECT_EQ(rules("# check=skip=all"), "");
  EXPECT_EQ(rules("#Check = skip=all;error=true"), "");
  EXPECT_EQ(rules("# check=error=true;skip=all;experimental=all"), "");
  // Names are exact, and a blank ends the value.
  EXPECT_EQ(rules("# check=skip=stagenamecasing"), rules("#"));
  EXPECT_EQ(rules("# check=skip=StageNameCasing, FromAsCasing"),
            "FromAsCasing MaintainerDeprecated");
  // skip=all leaves what was asked for by name.
  EXPECT_THAT(lint("# check=skip=all;experimental=InvalidDefinitionDescription\n# x\nFROM x AS a"),
              testing::SizeIs(1));
}

TEST(LintConfigTest, TheBuildArgumentReplacesTheDirective) {
  const std::string text = "# check=skip=StageNameCasing;error=true\nFROM x as A";
  EXPECT_THAT(lint(text), ElementsAre(HasSubstr("FromAsCasing")));
  EXPECT_THAT(lint(text, "skip=FromAsCasing"), ElementsAre(HasSubstr("StageNameCasing")));
  EXPECT_THAT(lint(text, ""), testing::SizeIs(2));
  EXPECT_FALSE(lint_config(source(text), "skip=all").error);
}

TEST(LintConfigTest, ACommentHoldsForTheInstructionBelow) {
  EXPECT_THAT(lint("FROM x\n# check=skip=MaintainerDeprecated\nMAINTAINER a\nMAINTAINER b"),
              ElementsAre(HasSubstr("4 MaintainerDeprecated")));
  EXPECT_THAT(lint("FROM x\n# check=skip=all because it is old\nMAINTAINER a"), IsEmpty());
  EXPECT_THAT(lint("FROM x\n# check=experimental=all\n# x\nARG A"), testing::SizeIs(1));
  // Malformed or indented it is a comment like any other, and it cannot make errors.
  EXPECT_THAT(lint("FROM x\n# check=skip\nMAINTAINER a"), testing::SizeIs(1));
  EXPECT_THAT(lint("FROM x\n  # check=skip=all\nMAINTAINER a"), testing::SizeIs(1));
  Linter linter;
  parse_text("FROM x\n# check=error=true\nMAINTAINER a", &linter);
  EXPECT_EQ(linter.warnings().size(), 1u);
  linter.throw_if_error();
}

TEST(LintConfigTest, SaysWhichOptionIsWrong) {
  const auto error = [](const std::string& value) {
    return error_of([&] { lint_config(source("# check=" + value + "\nFROM x"), {}); });
  };
  EXPECT_EQ(error("skip"),
            "Dockerfile:1: failed to parse check options: invalid check option \"skip\"");
  EXPECT_THAT(error("skips=all"),
              HasSubstr("invalid check option \"skips\"\nhint: the options are"));
  EXPECT_THAT(error("error=maybe"), HasSubstr("failed to parse check option \"error=maybe\""));
  EXPECT_THAT(error("skip=a;"), HasSubstr("invalid check option \"\""));
  EXPECT_EQ(
      error_of([] {
        lint_config(source("FROM x"), "x=1");
      }).find("failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: invalid check option \"x\""),
      0u);
}

TEST(LintConfigTest, ErrorsNameTheRules) {
  const auto file = source("# check=error=true\nFROM x as A\nFROM x as B");
  Linter linter(lint_config(file, {}));
  linter.throw_if_error();
  parse(file, &linter);
  EXPECT_EQ(error_of([&] { linter.throw_if_error(); }),
            "lint violation found for rules: FromAsCasing, StageNameCasing");
}

TEST(LintConfigTest, WarningsComeBeforeAnError) {
  Linter linter;
  EXPECT_NE(error_of([&] { parse_text("FROM x AS A\nMAINTAINER a\nRUM a", &linter); }), "");
  EXPECT_EQ(linter.warnings().size(), 2u);
}

TEST(Directives, AreFoundAsBuildKitFindsThem) {
  const auto value = [](const std::string& text, std::string_view key = "syntax",
                        std::string_view comment = "#") -> std::string {
    const auto found = find_directive(source(text), key, comment);
    return found ? std::to_string(found->range.first_line) + " " + found->value : "none";
  };
  EXPECT_EQ(value("# syntax=a/b:1\nFROM x"), "1 a/b:1");
  EXPECT_EQ(value("\xef\xbb\xbf#syntax = a b \r\nFROM x"), "1 a b");
  EXPECT_EQ(value("# check=skip=all\n# SYNTAX=a\n"), "2 a");
  EXPECT_EQ(value("#!/usr/bin/env x\n# syntax=a\n"), "2 a");
  EXPECT_EQ(value("// syntax=a\n", "syntax", "//"), "1 a");
  EXPECT_EQ(value("// syntax=a\n"), "none");
  // Only at the very top: nothing else may come before, not even blanks.
  EXPECT_EQ(value("\n# syntax=a\n"), "none");
  EXPECT_EQ(value("  # syntax=a\n"), "none");
  EXPECT_EQ(value("# a comment\n# syntax=a\n"), "none");
  EXPECT_EQ(value("# other=1\n# syntax=a\n"), "none");
  EXPECT_EQ(value("FROM x\n# syntax=a\n"), "none");
  EXPECT_EQ(value("# escape=`\n# escape=`\n# syntax=a\n"), "none");
  EXPECT_EQ(value("# syntax=\n# check=skip=all", "check"), "none");
  EXPECT_EQ(value("#!x\n#!y\n# syntax=a\n"), "none");
}

TEST(Directives, AfterAShebangTheyAreCommentsToTheParser) {
  // So they may be repeated there, and `escape` is none.
  const auto file =
      parse_text("#!x\n# check=skip=all\n# check=error=true\n# escape=`\nFROM x\nRUN a \\\n b");
  EXPECT_EQ(file.directives.check->value, "skip=all");
  EXPECT_EQ(file.directives.escape, '\\');
}

TEST(Suggestion, IsAtMostTwoChangesAway) {
  EXPECT_EQ(suggestion("FOO", {"BAR", "FOO1"}), "FOO1");
  EXPECT_EQ(suggestion("VERISON", {"VERSION"}), "VERSION");
  EXPECT_EQ(suggestion("foo", {"fo", "fooo"}), "fo");  // the first of equals
  EXPECT_EQ(suggestion("FOO", {"foo"}), "");           // three
  EXPECT_EQ(suggestion("foo", {"fooo", "foo"}), "");   // not a typo then
  EXPECT_EQ(suggestion("\xc3\xa4", {"a"}), "a");       // counted in characters
  EXPECT_EQ(suggestion("foo", {}), "");
}

}  // namespace
}  // namespace lade::parser
