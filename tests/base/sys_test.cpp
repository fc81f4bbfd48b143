#include "base/sys.hpp"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

class SysTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return dir_.path() + "/" + name; }
  void write(const std::string& name, const std::string& content) const {
    sys::write_file_atomically(path(name), content);
  }
  TempDir dir_ = TempDir::create("/tmp", "sys-test-");
  UniqueFd fd_ = sys::open(dir_.path(), O_RDONLY | O_DIRECTORY);
};

TEST_F(SysTest, DescriptorsDoNotReachChildren) {
  write("f", "");
  const sys::Pipe pipe = sys::pipe();
  const UniqueFd file = sys::open(path("f"), O_RDONLY);
  const UniqueFd at = sys::openat(fd_.get(), "f", O_RDONLY);
  const auto in_root = sys::open_in_root(fd_.get(), "f", O_RDONLY);
  for (const int fd : {file.get(), at.get(), in_root->get(), pipe.read.get(), pipe.write.get()}) {
    EXPECT_TRUE(::fcntl(fd, F_GETFD) & FD_CLOEXEC);
  }
}

TEST_F(SysTest, ErrorsNameThePathAndKeepTheCode) {
  try {
    sys::open(path("none"), O_RDONLY);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("/none'"));
    EXPECT_EQ(error.errno_code(), ENOENT);
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
  }
}

TEST_F(SysTest, TryOpenatTellsAbsenceFromErrors) {
  write("f", "");
  EXPECT_FALSE(sys::try_openat(fd_.get(), "none", O_RDONLY));
  EXPECT_FALSE(sys::try_openat(fd_.get(), "f/below", O_RDONLY));
  EXPECT_TRUE(sys::try_openat(fd_.get(), "f", O_RDONLY));
  EXPECT_THROW(sys::try_openat(fd_.get(), "f", O_RDONLY | O_CREAT | O_EXCL, 0600), Error);
}

TEST_F(SysTest, OpenInRootNeverLeavesTheRoot) {
  write("f", "inside");
  ASSERT_EQ(::symlink("/f", path("absolute").c_str()), 0);
  ASSERT_EQ(::symlink("../../../../f", path("climbing").c_str()), 0);
  for (const char* name : {"f", "/f", "absolute", "climbing", "../../f"}) {
    const auto fd = sys::open_in_root(fd_.get(), name, O_RDONLY);
    ASSERT_TRUE(fd) << name;
    char text[6];
    sys::pread_exact(fd->get(), text, sizeof text, 0);
    EXPECT_EQ(std::string(text, 6), "inside");
  }
  ASSERT_EQ(::symlink("/etc/passwd", path("outside").c_str()), 0);
  EXPECT_FALSE(sys::open_in_root(fd_.get(), "outside", O_RDONLY));
}

TEST_F(SysTest, PreadExactThrowsAtTheEnd) {
  write("f", "12345");
  const UniqueFd fd = sys::open(path("f"), O_RDONLY);
  char buffer[4];
  sys::pread_exact(fd.get(), buffer, 4, 1);
  EXPECT_EQ(std::string(buffer, 4), "2345");
  EXPECT_THROW(sys::pread_exact(fd.get(), buffer, 4, 2), Error);
}

TEST_F(SysTest, CopyDataCopiesSoMuchFromWhereItIs) {
  const std::string content(300'000, 'x');
  write("from", content + "tail");
  const auto copy = [&](uint64_t size, off_t offset) {
    const UniqueFd from = sys::open(path("from"), O_RDONLY);
    const UniqueFd to = sys::open(path("to"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ::lseek(from.get(), offset, SEEK_SET);
    return sys::copy_data(from.get(), to.get(), size);
  };
  EXPECT_EQ(copy(content.size() + 4, 0), content.size() + 4);
  EXPECT_EQ(*sys::read_file(path("to")), content + "tail");
  EXPECT_EQ(copy(4, static_cast<off_t>(content.size())), 4u);
  EXPECT_EQ(*sys::read_file(path("to")), "tail");
  EXPECT_EQ(copy(100, static_cast<off_t>(content.size())), 4u);
  EXPECT_EQ(copy(0, 0), 0u);
}

TEST_F(SysTest, CopyDataWorksFromAPipe) {
  sys::Pipe pipe = sys::pipe();
  sys::write_all(pipe.write.get(), "through a pipe");
  pipe.write.reset();
  const UniqueFd to = sys::open(path("to"), O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(sys::copy_data(pipe.read.get(), to.get(), 1000), 14u);
  EXPECT_EQ(*sys::read_file(path("to")), "through a pipe");
}

TEST_F(SysTest, RemoveTreeDoesNotFollowLinks) {
  sys::make_dirs(path("kept"));
  write("kept/f", "x");
  sys::make_dirs(path("gone/deep/er"));
  write("gone/deep/f", "x");
  ASSERT_EQ(::symlink(path("kept").c_str(), path("gone/to-dir").c_str()), 0);
  ASSERT_EQ(::symlink(path("kept/f").c_str(), path("gone/to-file").c_str()), 0);
  ASSERT_EQ(::symlink(path("kept").c_str(), path("link").c_str()), 0);
  sys::remove_tree(fd_.get(), "gone");
  sys::remove_tree(fd_.get(), "link");
  sys::remove_tree(fd_.get(), "missing");
  EXPECT_THAT(sys::list_dir(fd_.get()), ElementsAre("kept"));
  EXPECT_EQ(*sys::read_file(path("kept/f")), "x");
}

TEST_F(SysTest, ListDirIsSortedAndLeavesTheDescriptorUsable) {
  for (const char* name : {"b", "a", ".c"}) write(name, "");
  EXPECT_THAT(sys::list_dir(fd_.get()), ElementsAre(".c", "a", "b"));
  EXPECT_THAT(sys::list_dir(fd_.get()), ElementsAre(".c", "a", "b"));
}

TEST_F(SysTest, MakeDirsMakesParentsAndAcceptsWhatIsThere) {
  sys::make_dirs(path("a/b/c"));
  sys::make_dirs(path("a/b/c"));
  EXPECT_TRUE(S_ISDIR(sys::lstatat(fd_.get(), "a/b/c")->st_mode));
  write("f", "");
  EXPECT_THROW(sys::make_dirs(path("f/x")), Error);
}

TEST_F(SysTest, ReadFileHasALimit) {
  write("f", "12345");
  EXPECT_EQ(sys::read_file(path("f"), 5), "12345");
  EXPECT_THROW(sys::read_file(path("f"), 4), Error);
  EXPECT_EQ(sys::read_file(path("none")), std::nullopt);
}

TEST_F(SysTest, AnAtomicWriteReplacesWholeAndLeavesNothingBeside) {
  sys::write_file_atomically(path("f"), "one", 0600);
  sys::write_file_atomically(path("f"), "two", 0640);
  EXPECT_EQ(*sys::read_file(path("f")), "two");
  EXPECT_EQ(sys::lstatat(fd_.get(), "f")->st_mode & 0777, 0640u);
  sys::make_dirs(path("d/x"));
  EXPECT_THROW(sys::write_file_atomically(path("d"), "x"), Error);
  EXPECT_THAT(sys::list_dir(fd_.get()), ElementsAre("d", "f"));
}

TEST_F(SysTest, TempDirsGoAwayWithTheirOwner) {
  std::string gone;
  TempDir kept;
  {
    const TempDir first = TempDir::create(dir_.path());
    TempDir second = TempDir::create(dir_.path());
    gone = first.path();
    sys::write_file_atomically(gone + "/f", "x");
    kept = std::move(second);
  }
  EXPECT_FALSE(sys::lstatat(AT_FDCWD, gone));
  EXPECT_TRUE(sys::lstatat(AT_FDCWD, kept.path()));
}

TEST_F(SysTest, RandomHexIsAsLongAsAskedAndDiffers) {
  EXPECT_EQ(sys::random_hex(6).size(), 12u);
  EXPECT_NE(sys::random_hex(8), sys::random_hex(8));
}

TEST(Getenv, IsEmptyWhenTheVariableIsNotSet) {
  ASSERT_EQ(::setenv("LADE_TEST_VARIABLE", "a value", 1), 0);
  EXPECT_EQ(sys::getenv("LADE_TEST_VARIABLE"), "a value");
  ASSERT_EQ(::unsetenv("LADE_TEST_VARIABLE"), 0);
  EXPECT_EQ(sys::getenv("LADE_TEST_VARIABLE"), "");
}

}  // namespace
}  // namespace lade
