#include "base/event_loop.hpp"

#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

/// A pipe with a byte in it.
sys::Pipe ready_pipe() {
  sys::Pipe pipe = sys::pipe();
  sys::write_all(pipe.write.get(), "x");
  return pipe;
}

TEST(EventLoop, RunsPostedWorkInOrder) {
  EventLoop loop;
  std::vector<int> seen;
  for (int i = 0; i < 4; ++i) loop.post([&seen, i] { seen.push_back(i); });
  loop.run_until([&] { return seen.size() == 4; });
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3));
}

TEST(EventLoop, WorkPostedByWorkRunsLater) {
  EventLoop loop;
  std::vector<int> seen;
  loop.post([&] {
    loop.post([&] { seen.push_back(2); });
    seen.push_back(1);
  });
  loop.run_until([&] { return seen.size() == 2; });
  EXPECT_THAT(seen, ElementsAre(1, 2));
}

TEST(EventLoop, NothingPostedFromThreadsIsLost) {
  EventLoop loop;
  constexpr int kThreads = 8;
  constexpr int kEach = 2000;
  int count = 0;  // only the loop's thread touches it
  std::vector<int> last(kThreads, -1);
  bool in_order = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.post([&, t, i] {
          in_order = in_order && last[t] == i - 1;
          last[t] = i;
          ++count;
        });
      }
    });
  }
  loop.run_until([&] { return count == kThreads * kEach; });
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(in_order);
}

TEST(EventLoop, APostWakesAWaitingLoop) {
  EventLoop loop;
  bool done = false;
  std::thread thread([&] {
    ::usleep(30'000);
    loop.post([&] { done = true; });
  });
  loop.run_until([&] { return done; });
  thread.join();
}

TEST(EventLoop, AFulfilledConditionReturnsAtOnce) {
  EventLoop loop;
  loop.run_until([] { return true; });
}

TEST(EventLoop, TimersRunByDeadlineNotBeforeIt) {
  EventLoop loop;
  std::vector<int> seen;
  const auto begin = std::chrono::steady_clock::now();
  loop.after(40ms, [&] { seen.push_back(40); });
  loop.after(0ms, [&] { seen.push_back(0); });
  loop.after(20ms, [&] { seen.push_back(20); });
  loop.run_until([&] { return seen.size() == 3; });
  EXPECT_THAT(seen, ElementsAre(0, 20, 40));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 40ms);
}

TEST(EventLoop, TimersOfOneDeadlineRunInOrder) {
  EventLoop loop;
  std::vector<int> seen;
  for (int i = 0; i < 5; ++i) loop.after(5ms, [&seen, i] { seen.push_back(i); });
  loop.run_until([&] { return seen.size() == 5; });
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
}

TEST(EventLoop, CanceledTimersDoNotRun) {
  EventLoop loop;
  bool ran = false;
  bool end = false;
  const auto first = loop.after(1ms, [&] { ran = true; });
  loop.cancel(first);
  loop.cancel(first);
  EventLoop::TimerId second = 0;
  loop.after(2ms, [&] { loop.cancel(second); });
  second = loop.after(3ms, [&] { ran = true; });
  loop.after(20ms, [&] { end = true; });
  loop.run_until([&] { return end; });
  EXPECT_FALSE(ran);
}

TEST(EventLoop, ATimerMayStartAnother) {
  EventLoop loop;
  int count = 0;
  std::function<void()> again = [&] {
    if (++count < 5) loop.after(0ms, again);
  };
  loop.after(0ms, again);
  loop.run_until([&] { return count == 5; });
}

TEST(EventLoop, WatchedDescriptorsReportTheirEvents) {
  EventLoop loop;
  sys::Pipe pipe = sys::pipe();
  uint32_t got = 0;
  loop.watch(pipe.read.get(), EPOLLIN, [&](uint32_t events) { got = events; });
  sys::write_all(pipe.write.get(), "x");
  loop.run_until([&] { return got != 0; });
  EXPECT_TRUE(got & EPOLLIN);
  char byte = 0;
  sys::read_some(pipe.read.get(), &byte, 1);
  pipe.write.reset();
  got = 0;
  loop.run_until([&] { return got != 0; });
  EXPECT_TRUE(got & EPOLLHUP);
  loop.unwatch(pipe.read.get());
}

TEST(EventLoop, WatchingAgainReplacesTheCallback) {
  EventLoop loop;
  const sys::Pipe pipe = ready_pipe();
  int which = 0;
  loop.watch(pipe.read.get(), EPOLLIN, [&](uint32_t) { which = 1; });
  loop.watch(pipe.read.get(), EPOLLIN, [&](uint32_t) { which = 2; });
  loop.run_until([&] { return which != 0; });
  EXPECT_EQ(which, 2);
}

TEST(EventLoop, ACallbackMayUnwatchItselfAndKeepsItsState) {
  EventLoop loop;
  const sys::Pipe pipe = ready_pipe();
  std::string seen;
  loop.watch(pipe.read.get(), EPOLLIN, [&, text = std::string(100, 'x')](uint32_t) {
    loop.unwatch(pipe.read.get());
    seen = text;
  });
  loop.run_until([&] { return !seen.empty(); });
  EXPECT_EQ(seen, std::string(100, 'x'));
}

TEST(EventLoop, AnUnwatchedDescriptorOfTheSameBatchIsNotReported) {
  EventLoop loop;
  const sys::Pipe one = ready_pipe();
  const sys::Pipe two = ready_pipe();
  int calls = 0;
  const auto callback = [&](uint32_t) {
    ++calls;
    loop.unwatch(one.read.get());
    loop.unwatch(two.read.get());
  };
  loop.watch(one.read.get(), EPOLLIN, callback);
  loop.watch(two.read.get(), EPOLLIN, callback);
  bool end = false;
  loop.after(10ms, [&] { end = true; });
  loop.run_until([&] { return end; });
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, UnwatchingWhatIsNotWatchedIsFineAndAClosedDescriptorIsAnError) {
  EventLoop loop;
  loop.unwatch(0);
  EXPECT_THROW(loop.watch(-1, EPOLLIN, [](uint32_t) {}), Error);
}

}  // namespace
}  // namespace lade
