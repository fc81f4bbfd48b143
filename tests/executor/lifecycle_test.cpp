// Nothing of a sandbox outlives lade, however lade ends.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "base/text.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using testing::SandboxTest;

class LifecycleTest : public SandboxTest {
 protected:
  void TearDown() override {
    if (lade_ > 0) {
      ::kill(lade_, SIGKILL);
      ::waitpid(lade_, nullptr, 0);
    }
    SandboxTest::TearDown();
  }

  /// A second lade: a process with an executor of its own and two steps that sleep. Its pid.
  pid_t start_lade(const std::string& marker) {
    sys::Pipe ready = sys::pipe();
    const pid_t pid = ::fork();
    if (pid == 0) {
      run_lade(marker, ready.write.get());
      ::_exit(0);
    }
    lade_ = pid;
    ready.write.reset();
    char buffer[16];
    size_t got = 0;
    while (got < 2) {
      const size_t size = sys::read_some(ready.read.get(), buffer, sizeof buffer);
      EXPECT_GT(size, 0u) << "the steps did not start";
      if (size == 0) break;
      got += size;
    }
    EXPECT_TRUE(testing::eventually([&] { return testing::processes_with(marker).size() >= 4; }));
    return pid;
  }
  void lade_is_gone() {
    ::waitpid(lade_, nullptr, 0);
    lade_ = -1;
  }

 private:
  void run_lade(const std::string& marker, int ready) {
    auto own = Executor::create({});
    EventLoop events;
    own->attach(events);
    const bool has_helper = std::filesystem::exists("/usr/bin/slirp4netns");
    for (const auto network : {NetworkMode::none, NetworkMode::sandbox}) {
      auto spec = sh(fmt::format(
          "echo up; (trap '' TERM HUP INT; setsid sleep 600 {0}) & sleep 600 {0}", marker));
      spec.network = has_helper ? network : NetworkMode::none;
      own->start(
          spec, [&](LogStream, std::string_view) { sys::write_all(ready, "x"); },
          [](const ExecResult&) {});
    }
    events.run_until([] { return false; });
  }

  pid_t lade_ = -1;
};

/// Not those of others, who come and go.
std::vector<std::string> mounts_of(const std::string& dir) {
  std::vector<std::string> out;
  for (auto& line : split(testing::read_text("/proc/self/mounts"), '\n')) {
    if (line.find(dir) != std::string::npos) out.push_back(std::move(line));
  }
  return out;
}

std::string marker() {
  return fmt::format("0.{}", ::getpid());
}

TEST_F(LifecycleTest, ASigkilledLadeLeavesNothing) {
  const auto mounts = mounts_of(dir());
  const pid_t lade = start_lade(marker());
  const auto zygote = testing::child_named(lade, "lade-zygote");
  ASSERT_TRUE(zygote);

  ASSERT_EQ(::kill(lade, SIGKILL), 0);
  lade_is_gone();
  EXPECT_TRUE(testing::eventually([&] { return testing::processes_with(marker()).empty(); }));
  EXPECT_TRUE(testing::eventually([&] { return testing::processes_of_session(*zygote).empty(); }));
  EXPECT_EQ(mounts_of(dir()), mounts);
}

TEST_F(LifecycleTest, ASigkilledZygoteTakesItsSandboxesAlong) {
  const pid_t lade = start_lade(marker());
  const auto zygote = testing::child_named(lade, "lade-zygote");
  ASSERT_TRUE(zygote);
  ASSERT_EQ(::kill(*zygote, SIGKILL), 0);
  EXPECT_TRUE(testing::eventually([&] { return testing::processes_with(marker()).empty(); }));
  EXPECT_TRUE(testing::eventually([&] { return testing::processes_of_session(*zygote).empty(); }));
}

TEST_F(LifecycleTest, StepsOfALostZygoteEndWithAnError) {
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  ExecResult result;
  bool done = false;
  executor().start(
      sh("echo up; sleep 600"), [&](LogStream, std::string_view) { ::kill(*zygote, SIGKILL); },
      [&](const ExecResult& r) {
        result = r;
        done = true;
      });
  loop().run_until([&] { return done; });
  EXPECT_THAT(result.setup_error, ::testing::HasSubstr("lade-zygote"));
  EXPECT_THROW(executor().start(sh("true"), {}, {}), std::exception);
}

TEST_F(LifecycleTest, DestroyingTheExecutorEndsItsSteps) {
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  bool up = false;
  executor().start(
      sh("echo up; sleep 600 " + marker()), [&](LogStream, std::string_view) { up = true; },
      [](const ExecResult&) { FAIL() << "on_exit after the executor's end"; });
  loop().run_until([&] { return up; });
  ASSERT_FALSE(testing::processes_with(marker()).empty());
  end_executor();
  EXPECT_TRUE(testing::processes_with(marker()).empty());
  EXPECT_TRUE(testing::processes_of_session(*zygote).empty());
}

TEST_F(LifecycleTest, TheZygoteIgnoresTheTerminalsSignals) {
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  EXPECT_NE(::getsid(*zygote), ::getsid(0));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::kill(*zygote, signal);
  EXPECT_EQ(output_of(sh("echo alive")), "alive\n");
}

TEST_F(LifecycleTest, TheZygoteHoldsNoForeignDescriptors) {
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  output_of(sh("true"));
  size_t sockets = 0;
  std::string pipes;
  // The ends of the step's own pipes are closed when it is reaped, soon after its output has come.
  EXPECT_TRUE(testing::eventually([&] {
    sockets = 0;
    pipes.clear();
    for (const auto& fd :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", *zygote))) {
      std::error_code gone;
      const auto target = std::filesystem::read_symlink(fd.path(), gone).string();
      if (target.starts_with("pipe:")) pipes += target + " ";
      if (target.starts_with("socket:")) ++sockets;
    }
    return pipes.empty();
  })) << pipes;
  EXPECT_EQ(sockets, 1u);
}

TEST_F(LifecycleTest, StepsLeakNoDescriptors) {
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  run(sh("true"));
  const auto before = descriptors();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(run(sh("true")).result.exit_code, 0);
  EXPECT_EQ(descriptors(), before);
}

// What a step costs; run with --gtest_also_run_disabled_tests --gtest_filter='*StepLatency'.
TEST_F(LifecycleTest, DISABLED_StepLatency) {
  std::vector<std::string> lowers;
  for (int i = 0; i < 9; ++i) {
    lowers.push_back(fmt::format("layer-{}", i));
    make_dir(lowers.back());
  }
  const bool has_helper = std::filesystem::exists("/usr/bin/slirp4netns");
  for (const auto network : {NetworkMode::host, NetworkMode::none, NetworkMode::sandbox}) {
    if (network == NetworkMode::sandbox && !has_helper) continue;
    constexpr int count = 200;
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
      auto spec = sh("");
      spec.args = {"/bin/true"};
      spec.rootfs = overlay(lowers);
      spec.rootfs.work = make_dir(fmt::format("work-{}-{}", static_cast<int>(network), i));
      spec.network = network;
      const auto start = std::chrono::steady_clock::now();
      const auto finished = run(spec);
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      times.push_back(took.count());
      ASSERT_EQ(finished.result.setup_error, "");
    }
    // The first has slot and filter to wait for; on a busy machine only the least is the step's
    // own.
    const double first = times.front();
    std::ranges::sort(times);
    std::printf("network mode %d: first %.2f, median %.2f, least %.2f ms\n",
                static_cast<int>(network), first, times[count / 2], times.front());
  }
}

}  // namespace
}  // namespace lade
