#include "base/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A command with one option of each kind.
class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    line_.set_help_flag("-h,--help", "Print this help");
    line_.add_list("-t,--tag", tags_, "name of the image");
    line_.add_option("--target", target_, "stage");
    line_.add_option("-f,--file", file_, "Dockerfile");
    line_.add_option("--jobs", jobs_, "how many");
    line_.add_flag("-q,--quiet", quiet_, "say little");
    line_.add_flag("-i,--interactive", interactive_, "pass input on");
    line_.add_flag("--pull{always}", pull_, "ask registries");
    line_.add_flag("--secretly", secretly_).hidden();
  }

  std::string error(const std::vector<std::string>& words) {
    try {
      line_.parse(words);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return error.message() + (error.hint().empty() ? "" : " (" + error.hint() + ")");
    }
    return "none";
  }

  CommandLine line_{"Builds", "lade build"};
  std::vector<std::string> tags_;
  std::optional<std::string> target_;
  std::string file_ = "default";
  std::string pull_ = "missing";
  int jobs_ = 0;
  bool quiet_ = false;
  bool interactive_ = false;
  bool secretly_ = false;
};

TEST_F(CommandLineTest, ValuesComeInEveryFormThatPflagHas) {
  ASSERT_TRUE(
      line_.parse({"-t", "a", "-tb", "-t=c", "--tag", "d", "--tag=e", "-t=", "-t==", "--tag="}));
  // As pflag, which takes "=" alone for the value.
  EXPECT_THAT(tags_, ElementsAre("a", "b", "c", "d", "e", "=", "=", ""));
}

TEST_F(CommandLineTest, AnEmptyValueTakesNoFurtherWord) {
  std::string context;
  line_.add_option("CONTEXT", context, "directory");
  ASSERT_TRUE(line_.parse({"--target=", "--file=", "."}));
  EXPECT_EQ(target_, "");
  EXPECT_EQ(file_, "");
  EXPECT_EQ(context, ".");
}

TEST_F(CommandLineTest, AValueMayLookLikeAnOption) {
  ASSERT_TRUE(line_.parse({"--tag", "-q", "-t", "--", "--target", ""}));
  EXPECT_THAT(tags_, ElementsAre("-q", "--"));
  EXPECT_EQ(target_, "");
  EXPECT_FALSE(quiet_);
}

TEST_F(CommandLineTest, TheLastOfARepeatedOptionCounts) {
  ASSERT_TRUE(line_.parse({"--target=a", "-f", "b", "--target", "c", "-fd", "-q", "--quiet=0",
                           "--jobs=1", "--jobs", "+2", "--pull", "--pull=never"}));
  EXPECT_EQ(target_, "c");
  EXPECT_EQ(file_, "d");
  EXPECT_FALSE(quiet_);
  EXPECT_EQ(jobs_, 2);
  EXPECT_EQ(pull_, "never");
}

TEST_F(CommandLineTest, FlagsTakeTruthOnlyAfterAnEqualsSign) {
  for (const char* word : {"1", "t", "T", "true", "True", "TRUE"}) {
    quiet_ = false;
    ASSERT_TRUE(line_.parse({std::string("-q=") + word}));
    EXPECT_TRUE(quiet_) << word;
    ASSERT_TRUE(line_.parse({"--secretly"}));
    EXPECT_TRUE(secretly_);
  }
  for (const char* word : {"0", "f", "F", "false", "False", "FALSE"}) {
    quiet_ = true;
    ASSERT_TRUE(line_.parse({std::string("--quiet=") + word}));
    EXPECT_FALSE(quiet_) << word;
  }
  EXPECT_EQ(error({"-q=yes"}), "--quiet: 'yes' is neither true nor false");
  EXPECT_EQ(error({"--quiet="}), "--quiet: '' is neither true nor false");
  EXPECT_EQ(error({"-q", "true"}), "unexpected argument 'true' (usage: lade build [OPTIONS])");
}

TEST_F(CommandLineTest, LettersCanStandTogether) {
  ASSERT_TRUE(line_.parse({"-qit", "name", "-qi=false", "-iqtother"}));
  EXPECT_TRUE(quiet_);
  EXPECT_TRUE(interactive_);
  EXPECT_THAT(tags_, ElementsAre("name", "other"));
  EXPECT_THAT(error({"-qx"}), HasSubstr("there is no option '-x' in '-qx'"));
}

TEST_F(CommandLineTest, AValueThatMayBeLeftOutIsNeverTheNextWord) {
  std::string context;
  line_.add_option("CONTEXT", context, "directory");
  ASSERT_TRUE(line_.parse({"--pull", "never"}));
  EXPECT_EQ(pull_, "always");
  EXPECT_EQ(context, "never");
}

TEST_F(CommandLineTest, OptionsAndWordsMixUntilADoubleDash) {
  std::string context;
  std::vector<std::string> others;
  line_.add_option("CONTEXT", context, "directory");
  line_.add_option("OTHER", others, "more");
  ASSERT_TRUE(line_.parse({"one", "-q", "-", "--", "-t", "--", "--nonsense"}));
  EXPECT_EQ(context, "one");
  EXPECT_THAT(others, ElementsAre("-", "-t", "--", "--nonsense"));
  EXPECT_TRUE(quiet_);
  EXPECT_THAT(tags_, IsEmpty());
}

TEST_F(CommandLineTest, MistakesNameTheOptionBeforeAnythingElse) {
  std::string context;
  line_.add_option("CONTEXT", context, "directory").required();
  EXPECT_EQ(error({"--taget", "x"}), "there is no option '--taget' (did you mean --target?)");
  EXPECT_EQ(error({"--frobnicate=1", "."}),
            "there is no option '--frobnicate' (lade build --help lists the options)");
  EXPECT_THAT(error({"---tag=x"}), HasSubstr("there is no option '---tag'"));
  EXPECT_THAT(error({"--=x"}), HasSubstr("there is no option '--'"));
  EXPECT_THAT(error({".", "-x"}), HasSubstr("there is no option '-x'"));
  EXPECT_THAT(error({".", "--tag"}), HasSubstr("--tag needs a value"));
  EXPECT_THAT(error({".", "-qt"}), HasSubstr("-t needs a value"));
  EXPECT_EQ(error({"--jobs=many"}), "--jobs: 'many' is not a number");
  EXPECT_EQ(error({"--jobs=99999999999"}), "--jobs: '99999999999' is not a number");
  EXPECT_EQ(error({}), "CONTEXT is missing (usage: lade build [OPTIONS] CONTEXT)");
  EXPECT_EQ(error({"a", "b"}), "unexpected argument 'b' (usage: lade build [OPTIONS] CONTEXT)");
}

TEST_F(CommandLineTest, SomeOptionsExcludeOthers) {
  bool one = false;
  bool other = false;
  const auto option = line_.add_flag("--one", one, "");
  line_.add_flag("-o,--other", other, "").excludes(option);
  EXPECT_EQ(error({"-o", "--one"}), "--other and --one cannot be given together");
}

TEST_F(CommandLineTest, WhatFollowsTheFirstWordCanBeSomeoneElses) {
  line_.stop_at_first_word();
  ASSERT_TRUE(line_.parse({"-q", "image", "-t", "--", "--help"}));
  EXPECT_THAT(line_.remaining(), ElementsAre("image", "-t", "--", "--help"));
  ASSERT_TRUE(line_.parse({"-t", "a", "--", "-image", "-x"}));
  EXPECT_THAT(line_.remaining(), ElementsAre("-image", "-x"));
  line_.leave_unread();
  ASSERT_TRUE(line_.parse({"--help", "-q"}));
  EXPECT_THAT(line_.remaining(), ElementsAre("--help", "-q"));
}

TEST_F(CommandLineTest, CommandsHaveOptionsOfTheirOwnAndInheritSome) {
  CommandLine program("Builds and runs", "lade");
  std::string root;
  std::string own;
  std::string chosen;
  program.add_option("--root", root, "state").inherited();
  program.add_option("--own", own, "mine");
  CommandLine& create = program.add_subcommand("create", "makes one");
  create.add_list("-t,--tag", tags_, "name");
  create.callback([&] { chosen = "create"; });
  ASSERT_TRUE(program.parse({"--own=x", "create", "--root", "/r", "-t", "a"}));
  EXPECT_EQ(root, "/r");
  EXPECT_EQ(own, "x");
  EXPECT_EQ(chosen, "create");
  EXPECT_THAT(tags_, ElementsAre("a"));
  const auto fails = [&](const std::vector<std::string>& words) {
    try {
      program.parse(words);
      return std::string("none");
    } catch (const Error& error) {
      return error.message() + " (" + error.hint() + ")";
    }
  };
  EXPECT_THAT(fails({"create", "--own=x"}), HasSubstr("there is no option '--own'"));
  EXPECT_EQ(fails({}), "lade needs a command (lade --help lists them)");
  EXPECT_EQ(fails({"crate"}), "lade has no command 'crate' (did you mean lade create?)");
  EXPECT_THAT(create.help(), HasSubstr("Usage: lade create [OPTIONS]\n"));
}

TEST_F(CommandLineTest, HelpHasOneUsageLineAndNothingHidden) {
  std::string context;
  std::vector<std::string> others;
  line_.add_option("CONTEXT", context, "directory").required();
  line_.add_option("OTHER", others, "more");
  const std::string help = line_.help();
  EXPECT_THAT(help, HasSubstr("Usage: lade build [OPTIONS] CONTEXT [OTHER...]\n"));
  EXPECT_EQ(help.find("Usage"), help.rfind("Usage"));
  EXPECT_THAT(help, AllOf(HasSubstr("\n  -t, --tag list "), HasSubstr("\n      --target string "),
                          HasSubstr("\n      --pull[=string] "), HasSubstr("\n  -q, --quiet "),
                          Not(HasSubstr("secretly"))));
  line_.set_usage("IMAGE [COMMAND]");
  EXPECT_THAT(line_.help(), HasSubstr("Usage: lade build IMAGE [COMMAND]\n"));
}

TEST_F(CommandLineTest, HelpIsPrintedWhereTheRestIsRight) {
  std::string context;
  line_.add_option("CONTEXT", context, "directory").required();
  testing::internal::CaptureStdout();
  EXPECT_FALSE(line_.parse({"-q", "--help"}));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), line_.help());
  EXPECT_THAT(error({"--help", "--nonsense"}), HasSubstr("there is no option '--nonsense'"));
}

}  // namespace
}  // namespace lade
