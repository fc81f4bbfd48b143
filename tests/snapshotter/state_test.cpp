#include "snapshotter/state.hpp"

#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "tests/support/in_processes.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

class StateDirTest : public testing::Test {
 protected:
  std::string failure() {
    try {
      StateDir::open(root_);
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(root_));
      return error.message();
    }
    return "no error";
  }

  TempDir temp_ = TempDir::create("/tmp", "lade-test-");
  std::string root_ = temp_.path() + "/deep/state";
};

TEST_F(StateDirTest, IsMadeAndFoundAgain) {
  Descriptor target;
  target.media_type = "type";
  target.digest = Digest::of("x");
  target.size = 5;
  target.annotations = {{"k", "v"}};
  target.platform = Platform::parse("arm64");
  {
    const auto state = StateDir::open(root_);
    EXPECT_EQ(state->root(), root_);
    state->images().put("docker.io/library/a:1", target);
  }
  EXPECT_EQ(sys::read_file(root_ + "/format"), "lade-state 1\n");
  EXPECT_EQ(StateDir::open(root_)->images().find("docker.io/library/a:1")->target, target);
}

TEST_F(StateDirTest, RefusesAnotherFormat) {
  StateDir::open(root_);
  sys::write_file_atomically(root_ + "/format", "lade-state 2\n");
  EXPECT_THAT(failure(), HasSubstr("'lade-state 2'"));
}

TEST_F(StateDirTest, RefusesADirectoryOfOthers) {
  sys::make_dirs(root_);
  sys::write_file_atomically(root_ + "/thesis.txt", "");
  EXPECT_THAT(failure(), HasSubstr("not lade's"));
  EXPECT_FALSE(sys::read_file(root_ + "/format"));
}

TEST_F(StateDirTest, TakesAFreshFilesystem) {
  sys::make_dirs(root_ + "/lost+found");
  StateDir::open(root_);
}

TEST_F(StateDirTest, RefusesAnotherUsersDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a directory away";
  StateDir::open(root_);
  ASSERT_EQ(::chown(root_.c_str(), 1234, 0), 0);
  EXPECT_THAT(failure(), HasSubstr("user 1234"));
}

/// What others may do with the root and all that lies in it, as "name mode".
std::vector<std::string> open_to_others(const std::string& root) {
  std::vector<std::string> out;
  const UniqueFd dir = sys::open(root, O_RDONLY | O_DIRECTORY);
  auto names = sys::list_dir(dir.get());
  names.emplace_back(".");
  for (const auto& name : names) {
    const auto info = sys::lstatat(dir.get(), name);
    if ((info->st_mode & 077) != 0) out.push_back(fmt::format("{} {:o}", name, info->st_mode));
  }
  return out;
}

TEST_F(StateDirTest, IsClosedToOtherUsers) {
  const mode_t before = ::umask(0);
  StateDir::open(root_);
  ::umask(before);
  EXPECT_THAT(open_to_others(root_), testing::IsEmpty());
}

TEST_F(StateDirTest, ClosesADirectoryThatWasOpen) {
  sys::make_dirs(root_, 0755);
  ASSERT_EQ(::chmod(root_.c_str(), 0777), 0);
  StateDir::open(root_);
  EXPECT_THAT(open_to_others(root_), testing::IsEmpty());
  // As earlier versions made it.
  for (const char* name : {"", "/layers", "/index", "/locks", "/lade.db"}) {
    ASSERT_EQ(::chmod((root_ + name).c_str(), 0755), 0);
  }
  StateDir::open(root_);
  EXPECT_THAT(open_to_others(root_), testing::IsEmpty());
}

TEST_F(StateDirTest, RefusesWhatOthersHavePutIntoAnOpenDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a directory away";
  StateDir::open(root_);
  ASSERT_EQ(::chmod(root_.c_str(), 0777), 0);
  ASSERT_EQ(::chown((root_ + "/layers").c_str(), 1234, 0), 0);
  EXPECT_THAT(failure(), HasSubstr("'layers' in it belongs to user 1234"));
}

TEST_F(StateDirTest, MakesMissingDirectoriesAgain) {
  StateDir::open(root_);
  for (const char* name : {"/tmp", "/locks", "/index", "/layers"}) {
    sys::remove_tree(AT_FDCWD, root_ + name);
    StateDir::open(root_)->layers().prepare();
  }
}

TEST_F(StateDirTest, RefusesAFile) {
  sys::make_dirs(temp_.path() + "/deep");
  sys::write_file_atomically(root_, "");
  EXPECT_THAT(failure(), HasSubstr("not a directory"));
}

TEST_F(StateDirTest, ProcessesMayMakeItAtOnce) {
  test::in_processes(6, [&](int) { StateDir::open(root_); });
}

TEST(DefaultRoot, OptionThenVariableThenUser) {
  ::setenv("LADE_ROOT", "/from/env", 1);
  EXPECT_EQ(StateDir::default_root("/option"), "/option");
  EXPECT_EQ(StateDir::default_root(""), "/from/env");
  ::unsetenv("LADE_ROOT");
  if (::geteuid() == 0) {
    EXPECT_EQ(StateDir::default_root(""), "/var/lib/lade");
  }
}

class ImageStoreTest : public testing::Test {
 protected:
  static Descriptor target(std::string_view text) {
    Descriptor out;
    out.media_type = media_type::kOciManifest;
    out.digest = Digest::of(text);
    out.size = text.size();
    return out;
  }
  TempDir temp_ = TempDir::create("/tmp", "lade-test-");
  std::unique_ptr<Database> database_ =
      Database::open(temp_.path() + "/db", 1, ImageStore::schema());
  ImageStore images_{*database_};
};

TEST_F(ImageStoreTest, NamesPointAtTheLastTarget) {
  EXPECT_FALSE(images_.find("a"));
  images_.put("a", target("1"));
  images_.put("a", target("2"));
  EXPECT_EQ(images_.find("a")->target, target("2"));
  EXPECT_GT(images_.find("a")->created_at, 1'600'000'000);
}

TEST_F(ImageStoreTest, ListsByName) {
  images_.put("b", target("1"));
  images_.put("a", target("1"));
  ASSERT_EQ(images_.list().size(), 2U);
  EXPECT_EQ(images_.list()[0].name, "a");
}

TEST_F(ImageStoreTest, RemoveSaysWhetherThereWasOne) {
  images_.put("a", target("1"));
  EXPECT_TRUE(images_.remove("a"));
  EXPECT_FALSE(images_.remove("a"));
  EXPECT_FALSE(images_.find("a"));
}

TEST_F(ImageStoreTest, ResolutionsAreApartFromNames) {
  images_.record_resolution("a", target("1"));
  images_.record_resolution("a", target("2"));
  EXPECT_EQ(images_.resolution("a"), target("2"));
  EXPECT_FALSE(images_.resolution("b"));
  EXPECT_FALSE(images_.find("a"));
}

}  // namespace
}  // namespace lade
