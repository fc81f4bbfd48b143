#include "snapshotter/pins.hpp"

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

TEST_F(PinsTest, TheOldestStartIsThatOfTheFirstProcessStillThere) {
  PinCheck check(root());
  const int64_t before = now_ms();
  EXPECT_GE(check.oldest_start(), before);
  std::optional<Pins> first(root());
  const int64_t started = now_ms();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  Pins second(root());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  Pins third(root());
  EXPECT_GE(check.oldest_start(), before);
  EXPECT_LE(check.oldest_start(), started);
  first.reset();
  EXPECT_GE(check.oldest_start(), started + 20);
  EXPECT_LT(check.oldest_start(), now_ms() - 10);
}

}  // namespace
}  // namespace lade
