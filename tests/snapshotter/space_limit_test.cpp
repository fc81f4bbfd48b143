#include "snapshotter/gc/space_limit.hpp"

#include <gtest/gtest.h>

namespace lade {
namespace {

constexpr uint64_t kGB = 1'000'000'000;

SpaceLimit limit(std::optional<uint64_t> max_used, std::optional<uint64_t> reserved,
                 std::optional<uint64_t> min_free) {
  const auto share = [](std::optional<uint64_t> gigabytes) {
    return gigabytes ? std::optional(DiskShare{.bytes = *gigabytes * kGB}) : std::nullopt;
  };
  return {.max_used = share(max_used), .reserved = share(reserved), .min_free = share(min_free)};
}

// Worked out by BuildKit v0.32's calculateKeepBytes (cache/manager.go).
TEST(SpaceLimit, KeepsWhatBuildKitKeeps) {
  struct Case {
    SpaceLimit limit;
    uint64_t cache;
    uint64_t free;
    uint64_t kept;
  };
  const Case cases[] = {
      {limit(50, {}, {}), 80, 10, 50},  // a maximum alone
      {limit({}, 20, {}), 80, 10, 20},  // what is reserved alone is a maximum
      {limit({}, {}, 30), 80, 10, 60},  // 20 too few are free
      {limit({}, {}, 30), 80, 40, 80},  // enough are free: nothing goes
      {limit(70, {}, 30), 80, 10, 60},  // the stricter one
      {limit(50, {}, 30), 80, 10, 50},
      {limit(50, 70, 30), 80, 10, 70},  // but what is reserved stays
      {limit(50, {}, 30), 10, 0, 0},    // all of it would not do
      {limit(50, 5, 30), 10, 0, 5},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(one.limit.kept_bytes(one.cache * kGB, {100 * kGB, one.free * kGB}), one.kept * kGB)
        << &one - cases;
  }
}

TEST(SpaceLimit, SharesAreOfTheDisk) {
  SpaceLimit half{.max_used = DiskShare{.percent = 50}};
  EXPECT_EQ(half.kept_bytes(0, {200 * kGB, 100 * kGB}), 100 * kGB);
}

TEST(SpaceLimit, TheDefaultIsBuildKits) {
  // Of a small disk shares, of a large one fixed amounts.
  const DiskSpace small{50 * kGB, 50 * kGB};
  EXPECT_EQ(SpaceLimit::by_default(small).kept_bytes(49 * kGB, small), 40 * kGB);
  const DiskSpace large{1000 * kGB, 900 * kGB};
  EXPECT_EQ(SpaceLimit::by_default(large).kept_bytes(500 * kGB, large), 100 * kGB);
  // Others fill the disk: the cache gives way until a fifth is free, but keeps a tenth.
  const DiskSpace full{50 * kGB, 4 * kGB};
  EXPECT_EQ(SpaceLimit::by_default(full).kept_bytes(20 * kGB, full), 14 * kGB);
  EXPECT_EQ(SpaceLimit::by_default(full).kept_bytes(8 * kGB, full), 5 * kGB);
}

}  // namespace
}  // namespace lade
