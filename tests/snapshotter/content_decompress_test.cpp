#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "snapshotter/content/decompress.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;

/// Gives its text in pieces of random size, as networks do.
class ChoppedSource : public ByteSource {
 public:
  ChoppedSource(std::string text, size_t largest, unsigned seed = 1)
      : inner_(std::move(text)), random_(seed), sizes_(1, largest) {}
  size_t read(char* buffer, size_t size) override {
    return inner_.read(buffer, std::min(size, sizes_(random_)));
  }

 private:
  StringSource inner_;
  std::mt19937 random_;
  std::uniform_int_distribution<size_t> sizes_;
};

std::string unpacked(std::string bytes, size_t largest_piece = 1 << 20, size_t read_size = 65'536) {
  const auto source = decompress(std::make_unique<ChoppedSource>(std::move(bytes), largest_piece));
  std::string out;
  std::vector<char> buffer(read_size);
  while (const size_t count = source->read(buffer.data(), buffer.size())) {
    out.append(buffer.data(), count);
  }
  EXPECT_EQ(source->read(buffer.data(), buffer.size()), 0u) << "the end is not stable";
  return out;
}

std::string failure(std::string bytes) {
  try {
    unpacked(std::move(bytes));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    return error.message();
  }
  return "no error";
}

/// The output of `tool`, a real compressor of this machine, for `text`.
std::string packed(const std::string& tool, const std::string& text) {
  const TempDir dir = TempDir::create(::testing::TempDir());
  const std::string in = dir.path() + "/in";
  sys::write_file_atomically(in, text);
  EXPECT_EQ(std::system(fmt::format("{} < {} > {}.packed", tool, in, in).c_str()), 0) << tool;
  return sys::read_file(in + ".packed").value();
}

/// Half text that compresses, half bytes that do not.
std::string sample(size_t size) {
  std::mt19937 random(7);
  std::string out;
  while (out.size() < size) {
    out += fmt::format("line {} of a layer\n", out.size());
    for (int i = 0; i < 20; ++i) out += static_cast<char>(random());
  }
  out.resize(size);
  return out;
}

struct Tool {
  const char* name;
  const char* command;
  Compression format;
};

class DecompressTest : public ::testing::TestWithParam<Tool> {
 protected:
  std::string pack(const std::string& text) const { return packed(GetParam().command, text); }
};

TEST_P(DecompressTest, GivesBackWhatWasPacked) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{511}, size_t{70'000}, size_t{3'000'000}}) {
    const std::string text = sample(size);
    const std::string bytes = pack(text);
    EXPECT_EQ(detect_compression(bytes), GetParam().format);
    EXPECT_EQ(unpacked(bytes), text);
  }
}

TEST_P(DecompressTest, DoesNotDependOnThePiecesItReads) {
  const std::string text = sample(40'000);
  const std::string bytes = pack(text);
  for (const auto& [piece, read] : {std::pair<size_t, size_t>{1, 65'536}, {1 << 20, 1}, {3, 7}}) {
    EXPECT_EQ(unpacked(bytes, piece, read), text) << piece << " " << read;
  }
}

TEST_P(DecompressTest, JoinsConcatenatedStreams) {
  const std::string first = sample(50'000);
  EXPECT_EQ(unpacked(pack(first) + pack("") + pack("end")), first + "end");
  EXPECT_EQ(unpacked(pack(first) + pack("") + pack("end"), 1), first + "end");
}

TEST_P(DecompressTest, NoticesTruncationAnywhere) {
  const std::string bytes = pack(sample(2'000));
  for (size_t size = 10; size < bytes.size(); ++size) {
    EXPECT_THAT(failure(bytes.substr(0, size)), HasSubstr("ends too early")) << size;
  }
}

TEST_P(DecompressTest, NoticesTruncationOfALaterStream) {
  const std::string first = pack("first");
  const std::string both = first + pack(sample(300));
  for (size_t size = first.size() + 1; size < both.size(); ++size) {
    EXPECT_NE(failure(both.substr(0, size)), "no error") << size;
  }
}

TEST_P(DecompressTest, RefusesGarbageBehindTheEnd) {
  EXPECT_THAT(failure(pack("text") + "garbage, surely"), HasSubstr("malformed"));
}

TEST_P(DecompressTest, NoticesFlippedBitsOrGivesTheSameBytes) {
  const std::string text = sample(3'000);
  const std::string bytes = pack(text);
  for (size_t i = 10; i < bytes.size(); ++i) {
    std::string broken = bytes;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    try {
      // Header fields such as gzip's file name or time have no influence.
      EXPECT_EQ(unpacked(broken), text) << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, DecompressTest,
                         ::testing::Values(Tool{"gzip", "gzip -n6", Compression::gzip},
                                           Tool{"gzip_stored", "gzip -1", Compression::gzip},
                                           Tool{"zstd", "zstd -q --check", Compression::zstd},
                                           Tool{"bzip2", "bzip2", Compression::bzip2},
                                           Tool{"xz", "xz", Compression::xz}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(Decompress, PassesPlainBytesThrough) {
  for (const std::string& text : {std::string(), std::string("x"), sample(300'000)}) {
    EXPECT_EQ(unpacked(text, 5'000), text);
  }
  // A plain tar may begin with a file of such a name.
  EXPECT_EQ(detect_compression("BZh1234567"), Compression::none);
  EXPECT_EQ(detect_compression("\x1f\x8b"), Compression::none);
}

TEST(Decompress, ReadsGzipHeadersWithEveryField) {
  // FEXTRA, FNAME, FCOMMENT and FHCRC set, with the header's checksum (RFC 1952, 2.3.1).
  const std::string plain = packed("gzip -n", "hello");
  std::string header("\x1f\x8b\x08\x1c\0\0\0\0\0\x03", 10);
  header += std::string("\x04\0ABCD", 6) + std::string("name\0", 5) + std::string("comment\0", 8);
  EXPECT_EQ(unpacked(header + plain.substr(10)), "hello");
  EXPECT_EQ(unpacked(header + plain.substr(10), 1), "hello");
}

TEST(Decompress, ToleratesZerosBehindGzip) {
  const std::string bytes = packed("gzip -n", "hello");
  EXPECT_EQ(unpacked(bytes + std::string(100'000, '\0'), 1'000), "hello");
  EXPECT_THAT(failure(bytes + std::string(10, '\0') + bytes), HasSubstr("garbage after the last"));
}

TEST(Decompress, ChecksGzipChecksumAndLength) {
  const std::string bytes = packed("gzip -n", "hello");
  for (const size_t from_end : {size_t{8}, size_t{1}}) {
    std::string broken = bytes;
    broken[broken.size() - from_end] ^= 1;
    EXPECT_THAT(failure(broken), HasSubstr("the checksum or length does not match"));
  }
}

TEST(Decompress, SkipsZstdSkippableFrames) {
  const std::string skippable("\x52\x2a\x4d\x18\x03\0\0\0abc", 11);
  const std::string frame = packed("zstd -q", "hello");
  EXPECT_EQ(detect_compression(skippable), Compression::zstd);
  EXPECT_EQ(unpacked(skippable + frame + skippable + frame + skippable), "hellohello");
}

TEST(Decompress, TakesZstdWindowsOfHalfAGigabyteAndNamesLargerOnes) {
  // Frame headers alone: a window of 512 MiB, and one of 1 GiB. Only the former may be mistaken for
  // something else than zstd.
  EXPECT_THAT(failure(std::string("\x28\xb5\x2f\xfd\x00\x98\x01\x00", 8)),
              HasSubstr("zstd data ends too early"));
  try {
    unpacked(std::string("\x28\xb5\x2f\xfd\x00\xa0\x01\x00", 8));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::general);
    EXPECT_THAT(error.message(), HasSubstr("a window of more than 512 MiB"));
  }
}

TEST(Decompress, ExpandsBombsInBoundedMemory) {
  // 256 MiB of zeros in about 1 MiB; what was read is thrown away.
  const std::string bytes = packed("(head -c 268435456 /dev/zero | gzip -1 -n)", "");
  const auto source = decompress(std::make_unique<StringSource>(bytes));
  std::vector<char> buffer(1 << 20);
  uint64_t total = 0;
  while (const size_t count = source->read(buffer.data(), buffer.size())) total += count;
  EXPECT_EQ(total, uint64_t{256} << 20);
}

TEST(Decompress, LeavesASourceToTheCallerThatKeepsIt) {
  const std::string bytes = packed("gzip -n", "hello");
  StringSource inner(bytes);
  HashSource source(inner);
  EXPECT_EQ(read_all(*decompress(source), 100, "text"), "hello");
  EXPECT_EQ(source.size(), bytes.size());
}

}  // namespace
}  // namespace lade
