#include "exporter/output_file.hpp"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "base/text.hpp"
#include "exporter/exporter.hpp"

namespace lade {
namespace {

class OutputFileTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return dir_.path() + "/" + name; }
  std::string message_of(const std::string& dest) {
    try {
      check_output_file(dest);
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }
  TempDir dir_ = TempDir::create(clean_path(testing::TempDir()));
};

TEST_F(OutputFileTest, AppearsWhenCommittedOnly) {
  {
    OutputFile file = OutputFile::create(path("a"));
    file.write("lost");
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  OutputFile file = OutputFile::create(path("a"));
  file.write("kept");
  EXPECT_FALSE(std::filesystem::exists(path("a")));
  file.commit();
  EXPECT_EQ(sys::read_file(path("a")), "kept");
}

TEST_F(OutputFileTest, CopiesAfterWhatWasWritten) {
  sys::write_file_atomically(path("from"), std::string(300'000, 'x'));
  const UniqueFd from = sys::open(path("from"), O_RDONLY);
  OutputFile file = OutputFile::create(path("to"));
  file.write("head");
  file.copy_from(from.get(), 300'000);
  file.write("tail");
  file.commit();
  EXPECT_TRUE(sys::read_file(path("to")) == "head" + std::string(300'000, 'x') + "tail");
}

TEST_F(OutputFileTest, ASourceThatEndsEarlyIsAnError) {
  sys::write_file_atomically(path("from"), "short");
  const UniqueFd from = sys::open(path("from"), O_RDONLY);
  OutputFile file = OutputFile::create(path("to"));
  EXPECT_THROW(file.copy_from(from.get(), 6), Error);
}

TEST_F(OutputFileTest, WritesIntoAPipeInPlace) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  std::string got;
  std::jthread reader([&] {
    FdSource source(sys::open(path("pipe"), O_RDONLY));
    got = read_all(source, 100, "pipe");
  });
  sys::write_file_atomically(path("from"), "body");
  OutputFile file = OutputFile::create(path("pipe"));
  file.write("head ");
  file.copy_from(sys::open(path("from"), O_RDONLY).get(), 4);
  file.commit();
  reader.join();
  EXPECT_EQ(got, "head body");
}

TEST_F(OutputFileTest, ADashIsStandardOutput) {
  sys::Pipe pipe = sys::pipe();
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe.write.get(), STDOUT_FILENO);
    OutputFile file = OutputFile::create("-");
    file.write("to a pipe");
    file.commit();
    _exit(0);
  }
  pipe.write.reset();
  FdSource source(std::move(pipe.read));
  EXPECT_EQ(read_all(source, 100, "output"), "to a pipe");
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(OutputFileTest, ReplacesTheTargetOfASymlink) {
  sys::write_file_atomically(path("real"), "old");
  ASSERT_EQ(symlink("real", path("link").c_str()), 0);
  OutputFile file = OutputFile::create(path("link"));
  file.write("new");
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(sys::read_file(path("real")), "new");
}

TEST_F(OutputFileTest, BadDestinationsAreNamed) {
  EXPECT_EQ(message_of("-"), "");
  EXPECT_EQ(message_of(path("a")), "");
  EXPECT_EQ(message_of(dir_.path()), "the output '" + dir_.path() + "' is a directory");
  EXPECT_EQ(message_of(path("no/a")), "the directory '" + path("no") + "' for the output '" +
                                          path("no/a") + "' does not exist");
  sys::write_file_atomically(path("file"), "");
  EXPECT_NE(message_of(path("file/a")), "");
  EXPECT_NE(message_of(""), "");
  EXPECT_NE(message_of(path("a/")), "");
}

}  // namespace
}  // namespace lade
