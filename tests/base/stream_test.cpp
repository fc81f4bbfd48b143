#include "base/stream.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

/// Gives at most three bytes at a time, as a pipe may.
class Trickle : public ByteSource {
 public:
  explicit Trickle(std::string text) : text_(std::move(text)) {}
  size_t read(char* buffer, size_t size) override {
    return text_.read(buffer, std::min<size_t>(size, 3));
  }

 private:
  StringSource text_;
};

TEST(Drain, ReadsToTheEnd) {
  Trickle inner("some bytes");
  HashSource source(inner);
  drain(source);
  EXPECT_EQ(source.size(), 10u);
  EXPECT_EQ(source.digest(), Digest::of("some bytes"));
}

TEST(CopyStream, CopiesAllAndCounts) {
  Trickle source("some bytes");
  StringSink copy;
  HashSink sink(&copy);
  EXPECT_EQ(copy_stream(source, sink), 10u);
  EXPECT_EQ(copy.take(), "some bytes");
  EXPECT_EQ(sink.size(), 10u);
  EXPECT_EQ(sink.digest(), Digest::of("some bytes"));
}

TEST(ReadStart, StopsAtTheSizeOrTheEnd) {
  Trickle source("some bytes");
  EXPECT_EQ(read_start(source, 4), "some");
  EXPECT_EQ(read_start(source, 100), " bytes");
  EXPECT_EQ(read_start(source, 1), "");
}

TEST(ReadAll, RefusesMoreThanItsLimit) {
  Trickle fits("some bytes");
  EXPECT_EQ(read_all(fits, 10, "the text"), "some bytes");
  Trickle larger("some bytes!");
  try {
    read_all(larger, 10, "the text");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the text is larger than 10 bytes");
  }
}

}  // namespace
}  // namespace lade
