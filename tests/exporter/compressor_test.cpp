#include <cstdlib>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <tbb/global_control.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "exporter/compressors.hpp"

namespace lade {
namespace {

// Half noise, half text, deterministic: compresses to about 60 %.
std::string sample(size_t size, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::string out;
  out.reserve(size + 64);
  while (out.size() < size) {
    const uint32_t value = random();
    if (value % 2 == 0) {
      for (int i = 0; i < 16; ++i) out += static_cast<char>(random());
    } else {
      out += "usr/share/doc/package-";
      out += std::to_string(value % 1000);
    }
  }
  out.resize(size);
  return out;
}

std::string noise(size_t size) {
  std::mt19937_64 random(7);
  std::string out(size, '\0');
  for (char& byte : out) byte = static_cast<char>(random());
  return out;
}

struct Result {
  std::string bytes;
  DiffId diff_id;
  uint64_t size = 0;
};

Result compress(const CompressionOptions& options, std::string_view input,
                size_t write_size = 1 << 20) {
  StringSink sink;
  const auto compressor = make_compressor(options, sink);
  for (size_t at = 0; at < input.size(); at += write_size) {
    compressor->write(input.substr(at, write_size));
  }
  compressor->finish();
  return {sink.take(), compressor->diff_id(), compressor->uncompressed_size()};
}

// A decoder of one gzip member only: whatever follows it is an error.
std::string gunzip_one_member(std::string_view bytes) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::string buffer(1 << 16, '\0');
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    status = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer.data(), buffer.size() - stream.avail_out);
  }
  EXPECT_EQ(status, Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u) << "bytes after the first member";
  inflateEnd(&stream);
  return out;
}

std::string unzstd(std::string_view bytes) {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string out;
  std::string buffer(1 << 16, '\0');
  size_t status = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer chunk{buffer.data(), buffer.size(), 0};
    status = ZSTD_decompressStream(context, &chunk, &in);
    EXPECT_FALSE(ZSTD_isError(status)) << ZSTD_getErrorName(status);
    if (ZSTD_isError(status)) break;
    out.append(buffer.data(), chunk.pos);
  }
  EXPECT_EQ(status, 0u) << "the last frame is not complete";
  ZSTD_freeDCtx(context);
  return out;
}

std::string decode(const CompressionOptions& options, std::string_view bytes) {
  switch (options.type) {
    case LayerCompression::gzip:
      return gunzip_one_member(bytes);
    case LayerCompression::zstd:
      return unzstd(bytes);
    case LayerCompression::uncompressed:
      break;
  }
  return std::string(bytes);
}

CompressionOptions options_of(LayerCompression type, std::optional<int> level = {}) {
  return {.type = type, .level = level};
}

class CompressorTest : public testing::TestWithParam<CompressionOptions> {};

TEST_P(CompressorTest, GivesBackEveryByteAndTheDiffId) {
  for (const size_t size :
       {0ul, 1ul, 511ul << 10, 512ul << 10, (512ul << 10) + 1, (9ul << 20) + 17}) {
    const std::string input = sample(size);
    const Result result = compress(GetParam(), input);
    EXPECT_TRUE(decode(GetParam(), result.bytes) == input) << size;
    EXPECT_EQ(result.diff_id.digest, Digest::of(input)) << size;
    EXPECT_EQ(result.size, size);
  }
}

TEST_P(CompressorTest, BytesDoNotDependOnTheSizesOfWrites) {
  const std::string input = sample((5 << 20) + 123);
  const Result whole = compress(GetParam(), input, input.size());
  EXPECT_TRUE(compress(GetParam(), input, 70001).bytes == whole.bytes);
  EXPECT_TRUE(compress(GetParam(), input, 512 << 10).bytes == whole.bytes);
}

TEST_P(CompressorTest, BytesDoNotDependOnTheNumberOfThreads) {
  const std::string input = sample(6 << 20);
  const Result many = compress(GetParam(), input);
  const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
  EXPECT_TRUE(compress(GetParam(), input).bytes == many.bytes);
}

TEST_P(CompressorTest, NoiseGrowsByLessThanOnePercent) {
  const std::string input = noise(3 << 20);
  const Result result = compress(GetParam(), input);
  EXPECT_LT(result.bytes.size(), input.size() + input.size() / 100);
  EXPECT_TRUE(decode(GetParam(), result.bytes) == input);
}

TEST_P(CompressorTest, ErrorsOfTheSinkComeBack) {
  struct FullDisk : ByteSink {
    void write(std::string_view bytes) override {
      taken += bytes.size();
      if (taken > 1000) throw Error("no space left");
    }
    size_t taken = 0;
  } sink;
  const auto compressor = make_compressor(GetParam(), sink);
  const std::string input = noise(20 << 20);
  EXPECT_THROW(
      {
        compressor->write(input);
        compressor->finish();
      },
      Error);
}

TEST_P(CompressorTest, AnAbandonedCompressorLeavesTheSinkAlone) {
  StringSink sink;
  {
    const auto compressor = make_compressor(GetParam(), sink);
    compressor->write(sample(8 << 20));
  }
  const size_t then = sink.take().size();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(sink.take().size(), 0u) << "after " << then << " bytes";
}

INSTANTIATE_TEST_SUITE_P(
    All, CompressorTest,
    testing::Values(options_of(LayerCompression::uncompressed), options_of(LayerCompression::gzip),
                    options_of(LayerCompression::gzip, 0), options_of(LayerCompression::gzip, 1),
                    options_of(LayerCompression::gzip, 6), options_of(LayerCompression::zstd),
                    options_of(LayerCompression::zstd, 0)),
    [](const auto& tested) {
      std::string name = encoding_name(tested.param);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(CompressorNames, TellEncoderAndLevel) {
  EXPECT_EQ(encoding_name(options_of(LayerCompression::uncompressed)), "tar");
  EXPECT_EQ(encoding_name(options_of(LayerCompression::uncompressed, 5)), "tar");
  EXPECT_EQ(encoding_name(options_of(LayerCompression::zstd)), "zstd-3");
  EXPECT_EQ(encoding_name(options_of(LayerCompression::zstd, 0)), "zstd-1");
  EXPECT_EQ(encoding_name(options_of(LayerCompression::gzip, 9)), "gzip-zlib-9");
  EXPECT_EQ(encoding_name(options_of(LayerCompression::gzip, 3)), "gzip-zlib-3");
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("sse4.2")) GTEST_SKIP() << "needs a CPU with SSE4.2";
  EXPECT_EQ(encoding_name(options_of(LayerCompression::gzip)), "gzip-isal-2");
  EXPECT_EQ(encoding_name(options_of(LayerCompression::gzip, 1)), "gzip-isal-1");
#endif
}

TEST(CompressorNames, RefuseLevelsThatDoNotExist) {
  EXPECT_THROW(encoding_name(options_of(LayerCompression::gzip, 10)), Error);
  EXPECT_THROW(encoding_name(options_of(LayerCompression::gzip, -1)), Error);
  EXPECT_THROW(encoding_name(options_of(LayerCompression::zstd, 23)), Error);
  try {
    encoding_name(options_of(LayerCompression::gzip, 12));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(error.message(), "compression level 12 is not one of gzip's, which are 0 to 9");
  }
}

TEST(CompressorFormat, GzipHeaderHasNoTimeAndNoSystem) {
  const std::string bytes = compress(options_of(LayerCompression::gzip), "x").bytes;
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10));
}

TEST(CompressorFormat, GzipOfALevelIsAsSmallAsZlibMakesIt) {
  const std::string input = sample(8 << 20);
  for (const int level : {3, 6, 9}) {
    uLongf size = compressBound(input.size());
    std::string whole(size, 0);
    ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(whole.data()), &size,
                        reinterpret_cast<const Bytef*>(input.data()), input.size(), level),
              Z_OK);
    const size_t blocks = compress(options_of(LayerCompression::gzip, level), input).bytes.size();
    EXPECT_LT(static_cast<double>(blocks), 1.005 * static_cast<double>(size)) << level;
  }
}

TEST(CompressorFormat, ManyAtOnceShareTheBudgetAndFinish) {
  const std::string input = sample(6 << 20);
  const std::string expected = compress(options_of(LayerCompression::zstd), input).bytes;
  std::vector<std::jthread> threads;
  std::vector<std::string> results(6);
  for (std::string& result : results) {
    threads.emplace_back(
        [&] { result = compress(options_of(LayerCompression::zstd), input).bytes; });
  }
  threads.clear();
  for (const std::string& result : results) EXPECT_TRUE(result == expected);
}

void expect_peer_accepts(const char* command, const CompressionOptions& options) {
  const TempDir dir = TempDir::create(testing::TempDir());
  const std::string path = dir.path() + "/blob";
  sys::write_file_atomically(path, compress(options, sample(5 << 20)).bytes);
  EXPECT_EQ(std::system((std::string(command) + " < " + path).c_str()), 0);
}

TEST(CompressorPeers, GzipAcceptsBothEncoders) {
  expect_peer_accepts("gzip -t", options_of(LayerCompression::gzip));
  expect_peer_accepts("gzip -t", options_of(LayerCompression::gzip, 9));
}

TEST(CompressorPeers, ZstdAcceptsIt) {
  expect_peer_accepts("zstd -t -q", options_of(LayerCompression::zstd));
}

}  // namespace
}  // namespace lade
