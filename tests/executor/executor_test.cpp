#include "solver/executor/executor.hpp"

#include <chrono>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using testing::SandboxTest;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;

class ExecutorTest : public SandboxTest {};

TEST_F(ExecutorTest, DeliversBothStreamsAndTheExitCode) {
  const auto finished = run(sh("echo to-out; echo to-err >&2; exit 7"));
  EXPECT_EQ(finished.result.setup_error, "");
  EXPECT_EQ(finished.result.exit_code, 7);
  EXPECT_EQ(finished.result.signal, 0);
  EXPECT_EQ(finished.out, "to-out\n");
  EXPECT_EQ(finished.err, "to-err\n");
}

TEST_F(ExecutorTest, OutputArrivesWhileTheStepRuns) {
  auto spec = sh("echo first; sleep 30");
  Executor::StepId step = 0;
  bool done = false;
  std::string before_the_end;
  step = executor().start(
      spec,
      [&](LogStream, std::string_view bytes) {
        before_the_end += bytes;
        executor().kill(step);
      },
      [&](const ExecResult&) { done = true; });
  loop().run_until([&] { return done; });
  EXPECT_EQ(before_the_end, "first\n");
}

TEST_F(ExecutorTest, KillEndsTheStepWithItsSignal) {
  bool done = false;
  ExecResult result;
  const auto step = executor().start(
      sh("sleep 30"), [](LogStream, std::string_view) {},
      [&](const ExecResult& r) {
        result = r;
        done = true;
      });
  loop().after(std::chrono::milliseconds(50), [&] { executor().kill(step); });
  loop().run_until([&] { return done; });
  EXPECT_EQ(result.signal, 9);
  EXPECT_EQ(result.exit_code, 137);
  EXPECT_EQ(result.setup_error, "");
  executor().kill(step);  // unknown by now: ignored
}

TEST_F(ExecutorTest, TheCommandIsProcessOne) {
  EXPECT_EQ(output_of(sh("echo $$; echo $PPID")), "1\n0\n");
}

TEST_F(ExecutorTest, TheEnvironmentIsExactlyWhatWasAskedFor) {
  auto spec = sh("");
  spec.args = {"env"};
  spec.env = {"PATH=/bin", "A=b c", "EMPTY="};
  EXPECT_EQ(output_of(spec), "PATH=/bin\nA=b c\nEMPTY=\n");
}

TEST_F(ExecutorTest, AnEnvironmentLargerThanADatagramArrives) {
  auto spec = sh("echo ${#V0} ${#V9}");
  for (int i = 0; i < 10; ++i) {
    spec.env.push_back(fmt::format("V{}={}", i, std::string(100000, 'x')));
  }
  EXPECT_EQ(output_of(spec), "100000 100000\n");
}

TEST_F(ExecutorTest, ADaemonThatKeepsThePipesDoesNotKeepTheStep) {
  const auto start = Clock::now();
  const auto finished = run(sh("setsid sh -c 'echo from-daemon; sleep 60' & sleep 0.2; echo end"));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  EXPECT_EQ(finished.result.exit_code, 0);
  EXPECT_THAT(finished.out, HasSubstr("from-daemon\n"));
  EXPECT_THAT(finished.out, HasSubstr("end\n"));
  EXPECT_TRUE(testing::eventually([&] { return testing::processes_with(root()).empty(); }));
}

TEST_F(ExecutorTest, SomebodyOutsideHoldingThePipeDoesNotKeepTheStep) {
  // The test opens the step's stdout through /proc, as a process outside of the sandbox could.
  int held = -1;
  bool done = false;
  std::string out;
  executor().start(
      sh("echo ready-4711; sleep 0.3; echo last"),
      [&](LogStream, std::string_view bytes) {
        out += bytes;
        const auto found = testing::processes_with("ready-4711");
        if (held < 0 && !found.empty()) {
          held = ::open(fmt::format("/proc/{}/fd/1", found.front()).c_str(), O_WRONLY | O_CLOEXEC);
        }
      },
      [&](const ExecResult&) { done = true; });
  loop().run_until([&] { return done; });
  EXPECT_GE(held, 0);
  EXPECT_EQ(out, "ready-4711\nlast\n");
  ::close(held);
}

TEST_F(ExecutorTest, OutputWrittenJustBeforeTheEndIsComplete) {
  const auto finished = run(sh("dd if=/dev/zero bs=1000 count=5000 2>/dev/null; echo tail"));
  EXPECT_EQ(finished.out.size(), 5000u * 1000 + 5);
  EXPECT_TRUE(finished.out.ends_with("tail\n"));
}

TEST_F(ExecutorTest, AFastWriterWaitsForASlowReader) {
  bool done = false;
  size_t largest = 0;
  size_t total = 0;
  executor().start(
      sh("dd if=/dev/zero bs=1M count=20 2>/dev/null"),
      [&](LogStream, std::string_view bytes) {
        largest = std::max(largest, bytes.size());
        total += bytes.size();
      },
      [&](const ExecResult&) { done = true; });
  loop().run_until([&] { return done; });
  EXPECT_EQ(total, 20u << 20);
  EXPECT_LE(largest, 256u << 10);
}

TEST_F(ExecutorTest, SixteenSleepsOverlap) {
  const auto start = Clock::now();
  int ended = 0;
  for (int i = 0; i < 16; ++i) {
    executor().start(
        sh("sleep 0.5"), [](LogStream, std::string_view) {},
        [&](const ExecResult& result) {
          EXPECT_EQ(result.exit_code, 0) << result.setup_error;
          ++ended;
        });
  }
  loop().run_until([&] { return ended == 16; });
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(4));
}

TEST_F(ExecutorTest, AStepCanBeStartedFromTheEndOfAnother) {
  std::string out;
  bool done = false;
  const auto collect = [&](LogStream, std::string_view bytes) { out += bytes; };
  executor().start(sh("echo one"), collect, [&](const ExecResult&) {
    executor().start(sh("echo two"), collect, [&](const ExecResult&) { done = true; });
  });
  loop().run_until([&] { return done; });
  EXPECT_EQ(out, "one\ntwo\n");
}

TEST_F(ExecutorTest, AMissingCommandIsReportedAsDockerDoes) {
  auto spec = sh("");
  spec.args = {"no-such-command", "arg"};
  const auto finished = run(spec);
  EXPECT_EQ(finished.result.setup_error,
            "exec: \"no-such-command\": executable file not found in $PATH");
  EXPECT_EQ(finished.result.exit_code, 127);

  spec.args = {"/no/such/file"};
  EXPECT_EQ(run(spec).result.setup_error,
            "exec: \"/no/such/file\": stat /no/such/file: no such file or directory");
  EXPECT_EQ(run(spec).result.exit_code, 127);
  spec.args = {};
  EXPECT_EQ(run(spec).result.exit_code, 127);
}

TEST_F(ExecutorTest, WhatCannotBeExecutedIs126) {
  ASSERT_TRUE(testing::write_text(root() + "/plain", "text", 0644));
  ASSERT_TRUE(testing::write_text(root() + "/garbage",
                                  "\x7f"
                                  "ELFnot really",
                                  0755));
  auto spec = sh("");
  const std::pair<const char*, const char*> cases[] = {
      {"/plain", "exec: \"/plain\": permission denied"},
      {"/etc", "exec: \"/etc\": is a directory"},
      {"/garbage", "exec: \"/garbage\": exec format error"},
  };
  for (const auto& [command, message] : cases) {
    spec.args = {command};
    const auto finished = run(spec);
    EXPECT_THAT(finished.result.setup_error, StartsWith(message));
    EXPECT_EQ(finished.result.exit_code, 126) << command;
  }
}

TEST_F(ExecutorTest, AScriptWithoutItsInterpreterSaysSo) {
  ASSERT_TRUE(testing::write_text(root() + "/bin/a", "#! /usr/bin/python9 -u\n", 0755));
  ASSERT_TRUE(testing::write_text(root() + "/bin/b", "#!/bin/sh\r\necho hi\r\n", 0755));
  auto spec = sh("");
  spec.args = {"a"};
  auto finished = run(spec);
  EXPECT_EQ(finished.result.setup_error,
            "exec: \"a\": its interpreter '/usr/bin/python9' does not exist");
  EXPECT_EQ(finished.result.exit_code, 127);
  spec.args = {"b"};
  EXPECT_THAT(run(spec).result.setup_error, HasSubstr("carriage return"));
}

TEST_F(ExecutorTest, CommandsAreSearchedInTheRootAsTheStepsUser) {
  std::filesystem::create_directories(root() + "/private");
  std::filesystem::copy_file("/bin/busybox", root() + "/private/busybox");
  ASSERT_EQ(::chmod((root() + "/private").c_str(), 0700), 0);
  auto spec = sh("");
  spec.env = {"PATH=/private"};
  spec.args = {"busybox", "true"};
  EXPECT_EQ(run(spec).result.exit_code, 0);
  spec.uid = 1000;
  EXPECT_EQ(run(spec).result.exit_code, 127);
}

TEST_F(ExecutorTest, TheWorkingDirectoryIsMadeWhereMissing) {
  auto spec = sh("pwd; stat -c '%a %u' . ..");
  spec.cwd = "/srv/app/deep";
  spec.uid = 1000;
  EXPECT_EQ(output_of(spec), "/srv/app/deep\n755 1000\n755 1000\n");
}

TEST_F(ExecutorTest, AWorkingDirectoryThatIsAFileIsAClearError) {
  ASSERT_TRUE(testing::write_text(root() + "/file", ""));
  auto spec = sh("true");
  spec.cwd = "/file/below";
  const auto finished = run(spec);
  EXPECT_THAT(finished.result.setup_error,
              HasSubstr("could not enter the working directory '/file/below'"));
  EXPECT_EQ(finished.result.exit_code, 125);
}

TEST_F(ExecutorTest, AWorkingDirectoryCannotLeadOutThroughADescriptor) {
  for (int fd = 3; fd < 12; ++fd) {
    auto spec = sh("ls -d /proc/1/cwd/work 2>/dev/null; pwd");
    spec.cwd = fmt::format("/proc/self/fd/{}", fd);
    const auto finished = run(spec);
    EXPECT_NE(finished.result.setup_error, "") << fd << ": " << finished.out;
  }
}

TEST_F(ExecutorTest, UserAndGroupsAreExactlyWhatWasAskedFor) {
  auto spec = sh("id -u; id -g; id -G; touch /tmp/file && stat -c '%u:%g %a' /tmp/file");
  ASSERT_EQ(::chmod((root() + "/tmp").c_str(), 01777), 0);
  spec.uid = 1234;
  spec.gid = 55;
  spec.groups = {55, 77};
  EXPECT_EQ(output_of(spec), "1234\n55\n55 77\n1234:55 644\n");
  spec.groups = {};
  EXPECT_EQ(output_of(spec), "1234\n55\n55\n1234:55 644\n");
}

TEST_F(ExecutorTest, StandardInputIsEmpty) {
  EXPECT_EQ(output_of(sh("wc -c; readlink /proc/self/fd/0")), "0\n/dev/null\n");
}

TEST_F(ExecutorTest, NoDescriptorIsLeftOpen) {
  // 3 is ls's own, of the directory it lists.
  EXPECT_EQ(output_of(sh("ls /proc/self/fd")), "0\n1\n2\n3\n");
}

TEST_F(ExecutorTest, SignalsAreAtTheirDefaults) {
  EXPECT_EQ(output_of(sh("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\t'")),
            "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
}

TEST_F(ExecutorTest, LimitsAreSet) {
  auto spec = sh("ulimit -Sn; ulimit -Hn; grep core /proc/self/limits | tr -s ' '");
  spec.limits = {{RLIMIT_NOFILE, 123, 456}};
  EXPECT_THAT(output_of(spec), StartsWith("123\n456\nMax core file size 1 "));
}

TEST_F(ExecutorTest, ALimitThatCannotBeSetIsAClearError) {
  auto spec = sh("true");
  spec.limits = {{RLIMIT_NOFILE, 10, 5}};
  EXPECT_THAT(run(spec).result.setup_error, HasSubstr("could not set resource limit"));
}

TEST_F(ExecutorTest, ResourceUsageCoversTheProcessTree) {
  const auto finished = run(sh("sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true"));
  EXPECT_GT(finished.result.user_us + finished.result.system_us, 20000u);
  EXPECT_GT(finished.result.max_rss_bytes, 100u << 10);
}

TEST_F(ExecutorTest, StartNeedsAnEventLoop) {
  const auto unattached = Executor::create({});
  EXPECT_THROW(unattached->start(sh("true"), {}, {}), Error);
}

TEST_F(ExecutorTest, ACgroupOfItsOwnIsMadeAndRemoved) {
  const std::string parent = fmt::format("lade-test-{}", ::getpid());
  const auto groups = [&] {
    std::vector<std::filesystem::path> roots = {"/sys/fs/cgroup"};
    for (const auto& entry : std::filesystem::directory_iterator(roots[0])) {
      roots.push_back(entry.path());
    }
    size_t found = 0;
    for (const auto& root : roots) found += std::filesystem::exists(root / parent) ? 1 : 0;
    return found;
  };
  auto spec = sh("cat /proc/self/cgroup; while ! test -e /tmp/over; do sleep 0.01; done");
  spec.cgroup_parent = parent;
  std::string out;
  std::optional<ExecResult> result;
  size_t while_it_runs = 0;
  executor().start(
      spec,
      [&](LogStream, std::string_view bytes) {
        out += bytes;
        while_it_runs = groups();
        testing::write_text(root() + "/tmp/over", "");
      },
      [&](const ExecResult& ended) { result = ended; });
  loop().run_until([&] { return result.has_value(); });
  if (result->setup_error.find("no cgroup hierarchy") != std::string::npos) {
    GTEST_SKIP() << result->setup_error;
  }
  EXPECT_EQ(result->setup_error, "");
  // The namespace's root is the step's group.
  EXPECT_THAT(out, HasSubstr(":/\n"));
  EXPECT_THAT(out, ::testing::Not(HasSubstr(parent)));
  EXPECT_FALSE(result->out_of_memory);
  EXPECT_GT(while_it_runs, 0u);
  EXPECT_EQ(groups(), 0u);
}

}  // namespace
}  // namespace lade
