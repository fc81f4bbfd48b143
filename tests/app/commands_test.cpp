#include "app/commands.hpp"

#include <cctype>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

std::string hint_for(const std::string& name) {
  try {
    throw_unknown_command(name);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.message(), HasSubstr(name));
    return error.hint();
  }
}

TEST(Commands, EachIsFoundByItsNameAndListedOnce) {
  std::set<std::string> names;
  const std::string help = commands_help();
  for (const auto& command : all_commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    EXPECT_EQ(find_command(command.name), &command);
    if (command.group == CommandGroup::hidden) {
      EXPECT_THAT(help, Not(HasSubstr(command.name)));
      continue;
    }
    EXPECT_THAT(help, HasSubstr("\n  " + std::string(command.name) + " "));
    EXPECT_THAT(help, HasSubstr(command.summary));
  }
  EXPECT_EQ(find_command("no-such-command"), nullptr);
}

TEST(Commands, HelpGroupsThemAsDockerDoes) {
  const std::string help = commands_help();
  const auto common = help.find("Common Commands:");
  const auto others = help.find("\nCommands:");
  ASSERT_NE(common, std::string::npos);
  ASSERT_NE(others, std::string::npos);
  EXPECT_LT(common, help.find("  build "));
  EXPECT_LT(help.find("  build "), others);
  EXPECT_LT(others, help.find("  import "));
}

/// Whether the text has `name` as a word: "--rm" is not in "--rm-all".
bool has_word(const std::string& text, const std::string& name) {
  const auto belongs = [](char c) {
    return c == '-' || std::isalnum(static_cast<unsigned char>(c));
  };
  for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !belongs(text[at - 1])) && (end == text.size() || !belongs(text[end]))) {
      return true;
    }
  }
  return false;
}

void expect_all_in_help(const CommandLine& command, const std::string& name) {
  const std::string help = command.help();
  for (const auto& option : command.option_names()) {
    EXPECT_TRUE(has_word(help, option)) << name << " takes " << option << ", which --help hides";
  }
  for (const auto* sub : command.subcommands()) expect_all_in_help(*sub, name);
}

TEST(Commands, HelpHasEachOptionThatIsTaken) {
  for (const auto& command : all_commands()) {
    CommandLine app("", "lade");
    Globals globals;
    CommandAction action;
    CommandLine& line = app.add_subcommand(command.name, command.summary);
    command.add(line, globals, action);
    expect_all_in_help(line, command.name);
  }
}

TEST(Commands, AnUnknownOneSuggestsTheNearest) {
  EXPECT_EQ(hint_for("biuld"), "did you mean lade build?");
  EXPECT_EQ(hint_for("frobnicate"), "lade --help lists the commands");
}

}  // namespace
}  // namespace lade
