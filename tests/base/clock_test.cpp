#include "base/clock.hpp"

#include <ctime>

#include <gtest/gtest.h>

namespace lade {
namespace {

int64_t real_time_ns() {
  timespec time = {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

TEST(Clock, CountsWhatTheKernelCounts) {
  const int64_t before = real_time_ns();
  const int64_t ns = now_ns();
  const int64_t ms = now_ms();
  const int64_t seconds = now_seconds();
  const int64_t after = real_time_ns();
  EXPECT_GE(ns, before);
  EXPECT_LE(ns, after);
  EXPECT_GE(ms, before / 1'000'000);
  EXPECT_LE(ms, after / 1'000'000);
  EXPECT_GE(seconds, before / 1'000'000'000);
  EXPECT_LE(seconds, after / 1'000'000'000);
}

}  // namespace
}  // namespace lade
