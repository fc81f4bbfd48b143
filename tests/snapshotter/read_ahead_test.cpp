#include "snapshotter/tar/read_ahead.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

/// Endless; counts what was taken, and may fail at some point.
class Counter : public ByteSource {
 public:
  explicit Counter(uint64_t fail_at = UINT64_MAX) : fail_at_(fail_at) {}
  size_t read(char* buffer, size_t size) override {
    if (taken >= fail_at_) throw Error("broken", ErrorKind::unavailable);
    for (size_t i = 0; i < size; ++i) buffer[i] = static_cast<char>(taken + i);
    taken += size;
    return size;
  }
  std::atomic<uint64_t> taken = 0;

 private:
  const uint64_t fail_at_;
};

TEST(ReadAheadTest, GivesTheSameBytes) {
  std::string text;
  for (int i = 0; i < 1'000'000; ++i) text += static_cast<char>(i * 7);
  StringSource inner(text);
  ReadAhead ahead(inner);
  EXPECT_EQ(read_all(ahead, UINT64_MAX, "text"), text);
  char byte = 0;
  EXPECT_EQ(ahead.read(&byte, 1), 0U);
}

TEST(ReadAheadTest, AnEmptySourceEnds) {
  StringSource inner("");
  ReadAhead ahead(inner);
  char byte = 0;
  EXPECT_EQ(ahead.read(&byte, 1), 0U);
}

TEST(ReadAheadTest, AFailureComesAfterTheBytesBeforeIt) {
  Counter inner(512 * 1024);
  ReadAhead ahead(inner);
  std::string buffer(512 * 1024, '\0');
  size_t got = 0;
  try {
    while (true) got += ahead.read(buffer.data(), 1000);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
  EXPECT_EQ(got, 512U * 1024);
}

TEST(ReadAheadTest, StaysWithinBoundsAndMayBeAbandoned) {
  Counter inner;
  {
    ReadAhead ahead(inner);
    char byte = 0;
    EXPECT_EQ(ahead.read(&byte, 1), 1U);
  }
  // 2 MiB in the queue, one chunk being read and one being consumed.
  EXPECT_LE(inner.taken, (2U << 20) + 2U * 256 * 1024);
}

}  // namespace
}  // namespace lade
