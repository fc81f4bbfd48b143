#include "base/child_process.hpp"

#include <chrono>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

ProcessSpec shell(const std::string& script) {
  ProcessSpec spec;
  spec.args = {"sh", "-c", script};
  spec.env = {"PATH=/usr/bin:/bin", "NAME=value"};
  return spec;
}

TEST(ChildProcessTest, GivesOutputErrorsAndExitCode) {
  const Cancellation none;
  std::string seen;
  ProcessSpec spec = shell("echo out; echo err >&2; exit 3");
  spec.on_error_output = [&](std::string_view bytes) { seen += bytes; };
  const ProcessResult result = run_process(spec, none);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.errors, "err\n");
  EXPECT_EQ(seen, "err\n");
}

TEST(ChildProcessTest, SurroundingsAreAsAsked) {
  const Cancellation none;
  const mode_t before = ::umask(0077);
  ProcessSpec spec =
      shell("pwd; umask; env | grep -v PWD | grep -v _= | sort; cat; ls /proc/self/fd | wc -l");
  spec.directory = "/usr";
  const ProcessResult result = run_process(spec, none);
  EXPECT_EQ(::umask(before), 0077U);  // its own, not this process's
  // 0, 1, 2 and the directory that ls reads.
  EXPECT_EQ(result.output, "/usr\n0022\nNAME=value\nPATH=/usr/bin:/bin\n4\n");
}

TEST(ChildProcessTest, SignalsAreAsAtALogin) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const Cancellation none;
  EXPECT_EQ(run_process(shell("kill -TERM $$; echo alive"), none).exit_code, 128 + SIGTERM);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(ChildProcessTest, ALockIsHeldByWhatItStarted) {
  const Cancellation none;
  const UniqueFd file = sys::open("/dev/null", O_RDONLY);
  ProcessSpec spec = shell("readlink /proc/self/fd/3");
  spec.keep_fd = file.get();
  EXPECT_EQ(run_process(spec, none).output, "/dev/null\n");
}

TEST(ChildProcessTest, CancelingKillsItAndItsChildren) {
  Cancellation cancellation;
  std::thread later([&] {
    std::this_thread::sleep_for(100ms);
    cancellation.cancel();
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of([&] { run_process(shell("sleep 60 & sleep 60"), cancellation); }), "canceled");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  later.join();
  EXPECT_EQ(error_of([&] { run_process(shell("true"), cancellation); }), "canceled");
}

TEST(ChildProcessTest, EndlessOutputIsAnError) {
  const Cancellation none;
  EXPECT_THAT(error_of([&] { run_process(shell("yes"), none); }),
              HasSubstr("says more than it should"));
}

TEST(ChildProcessTest, AMissingProgramIsNamed) {
  const Cancellation none;
  ProcessSpec spec = shell("");
  spec.args = {"no-such-program"};
  EXPECT_EQ(
      error_of([&] { run_process(spec, none); }),
      "there is no program 'no-such-program' in PATH\nhint: install the package no-such-program");
}

}  // namespace
}  // namespace lade
