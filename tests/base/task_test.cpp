#include "base/task.hpp"

#include <atomic>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

Task<int> value(int number) {
  co_return number;
}

Task<int> failing() {
  throw Error("broken");
  co_return 0;
}

Task<int> sum(Task<int> a, Task<int> b) {
  const int first = co_await a;
  co_return first + co_await b;
}

TEST(Task, GivesItsValue) {
  const Task<int> task = sum(value(1), value(2));
  EXPECT_FALSE(task.done());
  task.start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.get(), 3);
}

TEST(Task, DoesNothingUntilItIsStarted) {
  bool ran = false;
  const auto body = [&]() -> Task<void> {
    ran = true;
    co_return;
  };
  const Task<void> task = body();
  EXPECT_FALSE(ran);
  EXPECT_FALSE(task.running());
  task.start();
  task.start();
  EXPECT_TRUE(ran);
  EXPECT_TRUE(task.done());
}

TEST(Task, ErrorsReachTheAwaiterAndGet) {
  const Task<int> task = sum(value(1), failing());
  task.start();
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.error());
  EXPECT_THROW(task.get(), Error);
}

TEST(Task, AnErrorCanBeCaughtWhereItIsAwaited) {
  const auto body = [](Task<int> inner) -> Task<std::string> {
    std::string caught;
    try {
      co_await inner;
    } catch (const Error& error) {
      caught = error.message();
    }
    co_return caught;
  };
  const Task<std::string> task = body(failing());
  task.start();
  EXPECT_EQ(task.get(), "broken");
}

TEST(Task, RunsOnceForManyAwaiters) {
  EventLoop loop;
  int runs = 0;
  const auto shared_body = [&]() -> Task<std::string> {
    ++runs;
    co_await sleep_for(loop, 1ms);
    co_return std::string(100, 'x');
  };
  const Task<std::string> shared = shared_body();
  const auto awaiter = [](Task<std::string> task) -> Task<size_t> {
    co_return (co_await task).size();
  };
  std::vector<Task<size_t>> awaiters;
  for (int i = 0; i < 10; ++i) awaiters.push_back(awaiter(shared));
  for (const auto& task : awaiters) task.start();
  EXPECT_TRUE(shared.running());
  loop.run_until([&] { return awaiters.back().done(); });
  for (const auto& task : awaiters) EXPECT_EQ(task.get(), 100u);
  EXPECT_EQ(runs, 1);
  // And for those who come late.
  const Task<size_t> late = awaiter(shared);
  late.start();
  EXPECT_EQ(late.get(), 100u);
}

TEST(Task, DeepChainsDoNotDeepenTheStack) {
  const auto next = [](Task<int> below) -> Task<int> { co_return co_await below + 1; };
  Task<int> top = value(0);
  for (int i = 0; i < 100'000; ++i) top = next(top);
  top.start();
  ASSERT_TRUE(top.done());
  EXPECT_EQ(top.get(), 100'000);
}

TEST(Task, DeepChainsOfErrorsDoNotEither) {
  const auto next = [](Task<int> below) -> Task<int> { co_return co_await below + 1; };
  Task<int> top = failing();
  for (int i = 0; i < 10'000; ++i) top = next(top);
  top.start();
  ASSERT_TRUE(top.done());
  EXPECT_THROW(top.get(), Error);
}

TEST(Task, ATaskThatIsNeverStartedFreesWhatItHolds) {
  const auto body = [](std::shared_ptr<int> held) -> Task<int> { co_return *held; };
  const auto held = std::make_shared<int>(1);
  {
    const Task<int> task = body(held);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Task, AFinishedTaskFreesWhatItHeld) {
  const auto body = [](std::shared_ptr<int> held) -> Task<int> { co_return *held; };
  const auto held = std::make_shared<int>(1);
  const Task<int> task = body(held);
  task.start();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(task.get(), 1);
}

TEST(OnCpu, RunsElsewhereAndComesBack) {
  EventLoop loop;
  const auto here = std::this_thread::get_id();
  std::thread::id there;
  std::thread::id after;
  const auto body = [&]() -> Task<int> {
    auto work = [&] {
      there = std::this_thread::get_id();
      return 7;
    };
    const int result = co_await on_cpu(loop, work);
    after = std::this_thread::get_id();
    co_return result;
  };
  const Task<int> task = body();
  task.start();
  loop.run_until([&] { return task.done(); });
  EXPECT_EQ(task.get(), 7);
  EXPECT_NE(there, here);
  EXPECT_EQ(after, here);
}

TEST(OnThread, RunsElsewhereAndBringsErrorsBack) {
  EventLoop loop;
  const auto body = [&]() -> Task<void> {
    auto work = [] { throw Error("from the thread"); };
    co_await on_thread(loop, work);
  };
  const Task<void> task = body();
  task.start();
  loop.run_until([&] { return task.done(); });
  EXPECT_THROW(task.get(), Error);
}

TEST(OnThread, ManyMayWaitAtOnce) {
  EventLoop loop;
  std::atomic<int> arrived = 0;
  const auto body = [&]() -> Task<void> {
    auto work = [&] {
      ++arrived;
      while (arrived < 20) std::this_thread::yield();
    };
    co_await on_thread(loop, work);
  };
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 20; ++i) {
    tasks.push_back(body());
    tasks.back().start();
  }
  loop.run_until([&] {
    for (const auto& task : tasks) {
      if (!task.done()) return false;
    }
    return true;
  });
  EXPECT_EQ(arrived, 20);
}

}  // namespace
}  // namespace lade
