// One build runs a step, the others wait.
#include "solver/cache/step_lock.hpp"

#include <csignal>
#include <functional>
#include <memory>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "support.hpp"

namespace lade {
namespace {

using Attempt = StepLock::Attempt;

class StepLockTest : public testing::Test {
 protected:
  StepLock lock(const std::string& key = "key") const {
    return StepLock(dir_.path(), Digest::of(key));
  }

  size_t files() const {
    return sys::list_dir(sys::open(dir_.path(), O_RDONLY | O_DIRECTORY).get()).size();
  }

  TempDir dir_ = TempDir::create("/tmp", "step-lock-");
};

/// A child process that runs `body`, says so on a pipe, then sleeps until it is killed.
class Owner {
 public:
  explicit Owner(const std::function<void()>& body) {
    sys::Pipe pipe = sys::pipe();
    pid_ = ::fork();
    if (pid_ == 0) {
      try {
        body();
        sys::write_all(pipe.write.get(), "x");
      } catch (const std::exception&) {
        ::_exit(1);
      }
      for (;;) ::pause();
    }
    pipe.write.reset();
    char byte = 0;
    started_ = sys::read_some(pipe.read.get(), &byte, 1) == 1;
  }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() { kill(); }

  bool started() const { return started_; }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  bool started_ = false;
};

TEST_F(StepLockTest, TheFirstOwnsAndTheOthersAreBusy) {
  StepLock first = lock();
  StepLock second = lock();
  EXPECT_EQ(first.try_acquire(), Attempt::owned);
  EXPECT_EQ(second.try_acquire(), Attempt::busy);
  EXPECT_EQ(second.try_acquire(), Attempt::busy);
}

TEST_F(StepLockTest, KeysDoNotMeet) {
  StepLock first = lock("a");
  StepLock second = lock("b");
  EXPECT_EQ(first.try_acquire(), Attempt::owned);
  EXPECT_EQ(second.try_acquire(), Attempt::owned);
}

TEST_F(StepLockTest, AfterSuccessWaitersAreToldOnceThenMayOwnIt) {
  StepLock owner = lock();
  StepLock waiter = lock();
  ASSERT_EQ(owner.try_acquire(), Attempt::owned);
  ASSERT_EQ(waiter.try_acquire(), Attempt::busy);
  owner.succeed();
  EXPECT_EQ(waiter.try_acquire(), Attempt::finished);
  EXPECT_EQ(waiter.try_acquire(), Attempt::owned);
}

TEST_F(StepLockTest, AllWaitersOfAFailedStepGetItsMessage) {
  StepLock owner = lock();
  StepLock waiters[] = {lock(), lock(), lock()};
  ASSERT_EQ(owner.try_acquire(), Attempt::owned);
  for (auto& waiter : waiters) ASSERT_EQ(waiter.try_acquire(), Attempt::busy);
  owner.fail("exit code: 7");
  for (auto& waiter : waiters) EXPECT_EQ(error_of([&] { waiter.try_acquire(); }), "exit code: 7");
}

TEST_F(StepLockTest, WhoComesAfterAFailureStartsAfresh) {
  StepLock owner = lock();
  ASSERT_EQ(owner.try_acquire(), Attempt::owned);
  owner.fail("exit code: 7");
  EXPECT_EQ(lock().try_acquire(), Attempt::owned);
}

TEST_F(StepLockTest, AnOwnerThatGoesAwayWithoutAWordIsReplaced) {
  auto owner = std::make_unique<StepLock>(lock());
  StepLock waiter = lock();
  ASSERT_EQ(owner->try_acquire(), Attempt::owned);
  ASSERT_EQ(waiter.try_acquire(), Attempt::busy);
  owner.reset();
  // It may be told to look for a record first.
  EXPECT_NE(waiter.try_acquire(), Attempt::busy);
  EXPECT_EQ(waiter.try_acquire(), Attempt::owned);
}

TEST_F(StepLockTest, AnOwnerThatGoesAwayLeavesNoFile) {
  {
    StepLock owner = lock();
    ASSERT_EQ(owner.try_acquire(), Attempt::owned);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(StepLockTest, ALongMessageIsCutNotLost) {
  StepLock owner = lock();
  StepLock waiter = lock();
  ASSERT_EQ(owner.try_acquire(), Attempt::owned);
  ASSERT_EQ(waiter.try_acquire(), Attempt::busy);
  owner.fail(std::string(1 << 20, 'x'));
  const std::string message = error_of([&] { waiter.try_acquire(); });
  EXPECT_GT(message.size(), 1000u);
  EXPECT_LE(message.size(), 65536u);
}

TEST_F(StepLockTest, FinishedStepsLeaveNoFiles) {
  for (int i = 0; i < 3; ++i) {
    StepLock owner = lock(std::to_string(i));
    ASSERT_EQ(owner.try_acquire(), Attempt::owned);
    i % 2 ? owner.succeed() : owner.fail("x");
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(StepLockTest, OwnersInOtherProcessesAreSeen) {
  Owner owner([&] {
    static StepLock held = lock();  // kept by the process
    if (held.try_acquire() != Attempt::owned) throw Error("not owned");
  });
  ASSERT_TRUE(owner.started());
  EXPECT_EQ(lock().try_acquire(), Attempt::busy);
}

TEST_F(StepLockTest, ASigkilledOwnerIsReplaced) {
  Owner owner([&] {
    static StepLock held = lock();
    if (held.try_acquire() != Attempt::owned) throw Error("not owned");
  });
  ASSERT_TRUE(owner.started());
  StepLock waiter = lock();
  ASSERT_EQ(waiter.try_acquire(), Attempt::busy);
  owner.kill();
  EXPECT_EQ(waiter.try_acquire(), Attempt::owned);
}

TEST_F(StepLockTest, OutcomesCrossProcesses) {
  for (const bool good : {true, false}) {
    StepLock waiter = lock();
    sys::Pipe go = sys::pipe();
    Owner owner([&] {
      static std::unique_ptr<StepLock> held;
      held = std::make_unique<StepLock>(lock());
      if (held->try_acquire() != Attempt::owned) throw Error("not owned");
      if (::fork() == 0) {
        // Ends the step when the test says so; the lock belongs to the open file, which both have.
        char byte = 0;
        go.write.reset();
        if (sys::read_some(go.read.get(), &byte, 1) != 1) ::_exit(1);
        good ? held->succeed() : held->fail("exit code: 3");
        ::_exit(0);
      }
      held.reset();
    });
    ASSERT_TRUE(owner.started());
    ASSERT_EQ(waiter.try_acquire(), Attempt::busy);
    sys::write_all(go.write.get(), "x");
    const auto outcome = [&] {
      for (;;) {
        const Attempt attempt = waiter.try_acquire();
        if (attempt != Attempt::busy) return attempt;
        ::usleep(1000);
      }
    };
    if (good) {
      EXPECT_EQ(outcome(), Attempt::finished);
    } else {
      EXPECT_EQ(error_of(outcome), "exit code: 3");
    }
  }
}

}  // namespace
}  // namespace lade
