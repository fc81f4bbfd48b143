#include "app/completion.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/commands.hpp"
#include "app/completion_scripts.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using Paths = Completion::Paths;

std::vector<std::string> offered(const std::string& line) {
  std::vector<std::string> out;
  for (const auto& [word, meaning] : complete(split_line(line)).words) out.push_back(word);
  return out;
}

class DockerfileCompletionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sys::write_file_atomically(dir() + "/Dockerfile",
                               "# version of Go\nARG GO=1\nFROM scratch AS build\nARG TAGS\n"
                               "FROM build AS test\nARG GO\nFROM scratch\n");
    sys::write_file_atomically(dir() + "/Other", "FROM scratch AS other\n");
  }
  std::string dir() const { return temp_.path(); }

 private:
  TempDir temp_ = TempDir::create("/tmp", "lade-completion-");
};

TEST(SplitLine, CutsAtBlanksOutsideOfQuotes) {
  EXPECT_THAT(split_line("lade build -t 'a b' c\\ d \"e'f\""),
              ElementsAre("lade", "build", "-t", "a b", "c d", "e'f"));
  EXPECT_THAT(split_line("lade  build "), ElementsAre("lade", "build", ""));
  EXPECT_THAT(split_line("lade build 'half"), ElementsAre("lade", "build", "half"));
}

TEST(Completion, OffersCommandsAndWhatTheyAreFor) {
  const auto found = complete({"lade", "pu"});
  EXPECT_THAT(offered("lade pu"), ElementsAre("pull", "push"));
  EXPECT_EQ(found.words[0].second, "Bring an image here from a registry");
  EXPECT_THAT(offered("lade --root /x manifest "), ElementsAre("create", "inspect", "push", "rm"));
  EXPECT_THAT(offered("lade nonsense "), IsEmpty());
}

TEST(Completion, OffersNoCommandThatIsNotForPeople) {
  EXPECT_THAT(offered("lade __"), IsEmpty());
  EXPECT_THAT(offered("lade "), Contains("build"));
}

TEST(Completion, OffersOptionsOfTheCommandAndItsOwnCommands) {
  EXPECT_THAT(offered("lade build --targ"), ElementsAre("--target"));
  EXPECT_THAT(offered("lade manifest create --am"), ElementsAre("--amend"));
  EXPECT_THAT(offered("lade --ro"), ElementsAre("--root"));
  EXPECT_THAT(offered("lade build --squ"), IsEmpty()) << "hidden";
  EXPECT_THAT(offered("lade build -- --targ"), IsEmpty());
}

TEST(Completion, OffersValuesInAllTheWaysThatTheyAreGiven) {
  for (const char* line : {"lade build --network n", "lade build . --network n"}) {
    EXPECT_THAT(offered(line), ElementsAre("none")) << line;
  }
  EXPECT_THAT(offered("lade build --network=n"), ElementsAre("--network=none"));
  EXPECT_EQ(complete(split_line("lade build -qf ")).paths, Paths::files);
  EXPECT_EQ(complete(split_line("lade build -q ")).paths, Paths::directories);
  EXPECT_TRUE(complete(split_line("lade build -o type=oc")).is_partial);
  EXPECT_FALSE(complete(split_line("lade build -o type=im")).is_partial);
}

TEST(Completion, OffersNothingBehindTheImageOfRun) {
  EXPECT_EQ(complete(split_line("lade run busybox ")).paths, Paths::none);
  EXPECT_THAT(offered("lade run busybox --r"), Not(Contains("--rm")));
  EXPECT_THAT(offered("lade run --r"), Contains("--rm"));
}

TEST(Completion, EveryRuleIsOfAnOptionOrWordThatIsThere) {
  // What an option of that name is offered shows that the rule is used.
  for (const char* line :
       {"lade build --progress ", "lade build --pull=", "lade build --call ",
        "lade build --attest ", "lade build --cache-to ", "lade build --allow ",
        "lade build --cache-from ", "lade build --platform ", "lade build --ssh ",
        "lade build --secret ", "lade build --resource ", "lade completion "}) {
    EXPECT_THAT(offered(line), Not(IsEmpty())) << line;
  }
}

TEST_F(DockerfileCompletionTest, StagesAreThoseOfTheFile) {
  EXPECT_THAT(offered("lade build " + dir() + " --target "), ElementsAre("build", "test"));
  EXPECT_THAT(offered("lade build -f " + dir() + "/Other --target="),
              ElementsAre("--target=other"));
  EXPECT_THAT(offered("lade build /nowhere --target "), IsEmpty());
}

TEST_F(DockerfileCompletionTest, BuildArgumentsHaveTheirDescriptions) {
  const auto found = complete(split_line("lade build " + dir() + " --build-arg "));
  ASSERT_EQ(found.words.size(), 2u);
  EXPECT_EQ(found.words[0].first, "GO=");
  EXPECT_EQ(found.words[1].first, "TAGS=");
  EXPECT_TRUE(found.is_partial);
}

TEST_F(DockerfileCompletionTest, LookingForImagesMakesNoStateDirectory) {
  EXPECT_THAT(offered("lade --root " + dir() + "/state rmi "), IsEmpty());
  EXPECT_FALSE(sys::lstatat(AT_FDCWD, dir() + "/state"));
}

TEST(CompletionScripts, AreThereForThreeShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) EXPECT_NE(completion_script(shell), nullptr);
  EXPECT_EQ(completion_script("tcsh"), nullptr);
}

}  // namespace
}  // namespace lade
