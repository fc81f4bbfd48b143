// Processes that join the sandbox of a running step.
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "solver/executor/child/protocol.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using testing::SandboxTest;

class JoinTest : public SandboxTest {
 protected:
  /// A step that others join; it ends with the test.
  Executor::StepId begin(const ExecSpec& spec) {
    return executor().start(
        spec, [this](LogStream, std::string_view bytes) { first_said_ += bytes; },
        [this](const ExecResult& result) { first_ = result; });
  }
  Finished join(Executor::StepId step, const std::string& script) {
    ExecSpec spec = sh(script);
    spec.join = step;
    return run(spec);
  }

  std::string first_said_;
  std::optional<ExecResult> first_;
};

TEST_F(JoinTest, SeesTheSameRootProcessesAndHostname) {
  ExecSpec spec = sh("echo written > /tmp/file; exec sleep 1234");
  spec.rootfs = overlay({});
  spec.hostname = "together";
  const auto step = begin(spec);
  const Finished joined =
      join(step, "while ! test -e /tmp/file; do :; done; cat /tmp/file; hostname; ps; echo pid $$");
  EXPECT_EQ(joined.result.exit_code, 0) << joined.result.setup_error << joined.err;
  EXPECT_THAT(joined.out, HasSubstr("written\ntogether\n"));
  EXPECT_THAT(joined.out, HasSubstr("sleep 1234"));
  EXPECT_THAT(joined.out, ::testing::Not(HasSubstr("pid 1\n")));
}

TEST_F(JoinTest, MayComeBeforeTheFirstProcessHasLeftTheHost) {
  for (int i = 0; i < 20; ++i) {
    const auto step = begin(sh("exec sleep 1234"));
    const Finished joined = join(step, "ls /");
    EXPECT_EQ(joined.result.exit_code, 0) << joined.result.setup_error;
    EXPECT_EQ(joined.out, "bin\ndev\netc\nproc\nroot\nsys\ntmp\n");
    executor().kill(step);
    loop().run_until([&] { return first_.has_value(); });
    first_.reset();
  }
}

TEST_F(JoinTest, EndsWithTheFirst) {
  const auto step = begin(sh("sleep 0.3"));
  const Finished joined = join(step, "sleep 100");
  EXPECT_EQ(joined.result.signal, SIGKILL);
  loop().run_until([&] { return first_.has_value(); });
  EXPECT_EQ(first_->exit_code, 0);
}

TEST_F(JoinTest, FailsWhenTheFirstHasEndedOrNeverStarted) {
  EXPECT_THAT(join(12345, "true").result.setup_error, HasSubstr("has ended"));
  ExecSpec bad = sh("true");
  bad.args = {"/no/such/command"};
  const auto step = begin(bad);
  const Finished joined = join(step, "true");
  EXPECT_NE(joined.result.exit_code, 0);
}

TEST_F(JoinTest, HasTheSamePrivilegesAsAnyStep) {
  const auto step = begin(sh("exec sleep 1234"));
  const std::string own = output_of(sh("grep -E 'Cap(Eff|Bnd)|Seccomp:' /proc/self/status"));
  const Finished joined = join(step, "grep -E 'Cap(Eff|Bnd)|Seccomp:' /proc/self/status");
  EXPECT_EQ(joined.out, own);
  ExecSpec user = sh("id -u; id -g");
  user.uid = 1000;
  user.gid = 1001;
  user.join = step;
  EXPECT_EQ(output_of(user), "1000\n1001\n");
}

TEST_F(JoinTest, SignalsReachIt) {
  const auto step = begin(sh("exec sleep 1234"));
  ExecSpec spec = sh("trap 'exit 99' HUP; echo ready; while :; do sleep 0.01; done");
  spec.join = step;
  std::optional<ExecResult> result;
  Executor::StepId joined = 0;
  joined = executor().start(
      spec,
      [&](LogStream, std::string_view) { loop().post([&] { executor().signal(joined, SIGHUP); }); },
      [&](const ExecResult& ended) { result = ended; });
  loop().run_until([&] { return result.has_value(); });
  EXPECT_EQ(result->exit_code, 99);
  EXPECT_FALSE(first_);
}

TEST_F(JoinTest, OutputGoesWhereItIsToldTo) {
  sys::Pipe pipe = sys::pipe();
  ExecSpec spec = sh("echo out; echo err >&2");
  spec.output_fd = pipe.write.get();
  const Finished ended = run(spec);
  pipe.write.reset();
  char buffer[16] = {};
  EXPECT_EQ(::read(pipe.read.get(), buffer, sizeof buffer), 4);
  EXPECT_STREQ(buffer, "out\n");
  EXPECT_EQ(ended.out, "");
  EXPECT_EQ(ended.err, "err\n");
}

TEST_F(JoinTest, NothingIsLeftWhenTheExecutorGoes) {
  const std::string marker = "77" + std::to_string(::getpid());
  const auto step = begin(sh("exec sleep " + marker));
  ExecSpec spec = sh("sleep " + marker);
  spec.join = step;
  executor().start(spec, [](LogStream, std::string_view) {}, [](const ExecResult&) {});
  EXPECT_TRUE(testing::eventually([&] {
    loop().post([] {});
    return testing::processes_with(marker).size() >= 2;
  }));
  end_executor();
  EXPECT_TRUE(testing::processes_with(marker).empty());
}

}  // namespace
}  // namespace lade
