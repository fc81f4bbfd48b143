#include "snapshotter/layers/pins.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

class PinsTest : public ::testing::Test {
 protected:
  PinsTest() : dir_(TempDir::create("/tmp", "lade-pins-")) {
    sys::make_dirs(dir_.path() + "/locks");
  }
  const std::string& root() const { return dir_.path(); }

 private:
  TempDir dir_;
};

TEST_F(PinsTest, APinnedLayerCannotBeClaimedUntilItsOwnerGoes) {
  PinCheck check(root());
  {
    Pins pins(root());
    pins.pin(7);
    pins.pin(7);
    EXPECT_TRUE(check.is_pinned(7));
    EXPECT_FALSE(check.try_claim(7));
    EXPECT_FALSE(check.is_pinned(6));
    EXPECT_TRUE(check.try_claim(6));
  }
  EXPECT_FALSE(check.is_pinned(7));
  EXPECT_TRUE(check.try_claim(7));
}

TEST_F(PinsTest, PinningWaitsForTheEndOfAClaim) {
  PinCheck check(root());
  ASSERT_TRUE(check.try_claim(3));
  Pins pins(root());
  std::atomic<bool> pinned = false;
  std::thread waiter([&] {
    pins.pin(3);
    pinned = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(pinned);
  check.release();
  waiter.join();
  EXPECT_TRUE(pinned);
  EXPECT_FALSE(check.try_claim(3));
}

TEST_F(PinsTest, AKilledProcessHoldsNothing) {
  sys::Pipe ready = sys::pipe();
  const pid_t pid = ::fork();
  if (pid == 0) {
    Pins pins(root());
    pins.pin(9);
    sys::write_all(ready.write.get(), "x");
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(sys::read_some(ready.read.get(), &byte, 1), 1u);
  PinCheck check(root());
  EXPECT_TRUE(check.is_pinned(9));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  EXPECT_TRUE(check.try_claim(9));
}

TEST_F(PinsTest, TheOldestStartIsThatOfTheFirstOtherStillThere) {
  Pins own(root());
  EXPECT_EQ(own.oldest_other_start(), std::nullopt);
  const int64_t before = now_ms();
  std::optional<Pins> first(root());
  const int64_t started = now_ms();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::optional<Pins> second(root());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  Pins third(root());
  ASSERT_TRUE(own.oldest_other_start());
  EXPECT_GE(*own.oldest_other_start(), before);
  EXPECT_LE(*own.oldest_other_start(), started);
  first.reset();
  ASSERT_TRUE(own.oldest_other_start());
  EXPECT_GE(*own.oldest_other_start(), started + 20);
  EXPECT_LT(*own.oldest_other_start(), now_ms() - 10);
  second.reset();
  // For the third it is the first of these.
  EXPECT_LE(*third.oldest_other_start(), started);
}

TEST_F(PinsTest, AnotherThatStartedInTheSameMomentCounts) {
  std::optional<Pins> first;
  std::optional<Pins> second;
  int64_t moment = -1;
  // Starts are told apart by the millisecond: tries until two fall into one.
  while (!first || moment != now_ms()) {
    moment = now_ms();
    second.reset();
    first.emplace(root());
    second.emplace(root());
  }
  EXPECT_EQ(first->oldest_other_start(), second->oldest_other_start());
}

}  // namespace
}  // namespace lade
