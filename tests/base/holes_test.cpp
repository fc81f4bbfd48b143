#include "base/holes.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

constexpr size_t piece = 64 * 1024;  // no filesystem's blocks are larger

class HolesTest : public ::testing::Test {
 protected:
  /// A letter is a piece of data, a dot one of a hole; "!" a single byte.
  std::string make(const std::string& pattern) {
    const std::string path = temp_.path() + "/from";
    const UniqueFd fd = sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t size = 0;
    for (const char kind : pattern) {
      const std::string data(kind == '!' ? 1 : piece, kind);
      if (kind != '.') {
        EXPECT_EQ(::pwrite(fd.get(), data.data(), data.size(), size),
                  static_cast<ssize_t>(data.size()));
      }
      size += static_cast<off_t>(data.size());
    }
    EXPECT_EQ(::ftruncate(fd.get(), size), 0);
    return path;
  }

  static std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }

  TempDir temp_ = TempDir::create(std::filesystem::temp_directory_path().string(), "lade-holes-");
};

TEST_F(HolesTest, CopiesAndDigestsAreThoseOfTheBytesThatAreRead) {
  for (const char* pattern :
       {"", "a", "!", ".", "a.", ".a", "a.b", ".a.b.", "!..!", "..!..", "ab..cd!"}) {
    SCOPED_TRACE(pattern);
    const std::string from = make(pattern);
    const std::string to = temp_.path() + "/to";
    std::filesystem::remove(to);
    const std::string bytes = content(from);
    const UniqueFd in = sys::open(from, O_RDONLY);
    const UniqueFd out = sys::open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    const CopiedFile copied = copy_with_holes(in.get(), out.get());
    EXPECT_EQ(copied.size, bytes.size());
    EXPECT_EQ(copied.content, Digest::of(bytes));
    EXPECT_TRUE(content(to) == bytes);
    EXPECT_LE(sys::fstat(out.get()).st_blocks, sys::fstat(in.get()).st_blocks);
    const CopiedFile hashed = hash_with_holes(sys::open(from, O_RDONLY).get());
    EXPECT_EQ(hashed.size, bytes.size());
    EXPECT_EQ(hashed.content, copied.content);
  }
}

TEST_F(HolesTest, PipesAndEmptyFilesHaveNone) {
  const sys::Pipe pipe = sys::pipe();
  sys::write_all(pipe.write.get(), "text");
  EXPECT_EQ(Holes(pipe.read.get()).skip(0), 0u);
  const UniqueFd empty = sys::open(make(""), O_RDONLY);
  EXPECT_EQ(Holes(empty.get()).skip(0), 0u);
}

TEST_F(HolesTest, AreSkippedUpToTheNextData) {
  const UniqueFd fd = sys::open(make("a..b."), O_RDONLY);
  Holes holes(fd.get());
  EXPECT_EQ(holes.skip(0), 0u);
  EXPECT_EQ(holes.skip(piece), 2 * piece);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), static_cast<off_t>(3 * piece));
  EXPECT_EQ(holes.skip(3 * piece), 0u);
  EXPECT_EQ(holes.skip(4 * piece), piece);
  EXPECT_EQ(holes.skip(5 * piece), 0u);
}

}  // namespace
}  // namespace lade
