// Commands that somebody talks to: standard input, terminals, signals, the init.
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "solver/executor/child/protocol.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;
using testing::SandboxTest;

class InteractiveTest : public SandboxTest {
 protected:
  /// Runs the step; each time it has written the next of `prompts`, `answer` is called.
  ExecResult converse(const ExecSpec& spec, const std::string& prompt,
                      const std::function<void(Executor::StepId)>& answer) {
    std::optional<ExecResult> result;
    bool asked = false;
    Executor::StepId step = 0;
    step = executor().start(
        spec,
        [&](LogStream, std::string_view bytes) {
          said_ += bytes;
          if (!asked && said_.find(prompt) != std::string::npos) {
            asked = true;
            loop().post([&] { answer(step); });
          }
        },
        [&](const ExecResult& ended) { result = ended; });
    loop().run_until([&] { return result.has_value(); });
    return *result;
  }

  /// All that the step writes to its terminal of 33 rows and 101 columns. What is typed is typed
  /// once it has said "ready".
  std::string on_terminal(ExecSpec spec, const std::string& typed) {
    auto channel = sandbox::Channel::create_pair();
    spec.terminal_fd = channel.zygote.fd();
    std::optional<ExecResult> result;
    executor().start(
        spec, [](LogStream, std::string_view) {}, [&](const ExecResult& ended) { result = ended; });
    channel.zygote.close();
    UniqueFd terminal;
    std::string out;
    EXPECT_TRUE(testing::eventually([&] {
      auto packet = channel.lade.receive();
      if (packet && packet->fds.size() == 1) terminal = std::move(packet->fds[0]);
      return terminal || channel.lade.state() == sandbox::Channel::State::closed;
    }));
    if (terminal) {
      const winsize size{33, 101, 0, 0};
      EXPECT_EQ(::ioctl(terminal.get(), TIOCSWINSZ, &size), 0);
      bool asked = false;
      char buffer[256];
      pollfd readable{terminal.get(), POLLIN, 0};
      while (::poll(&readable, 1, 20000) == 1) {
        const ssize_t count = ::read(terminal.get(), buffer, sizeof buffer);
        if (count <= 0) break;
        out.append(buffer, static_cast<size_t>(count));
        if (asked || out.find("ready") == std::string::npos) continue;
        asked = true;
        sys::write_all(terminal.get(), typed);
      }
    }
    loop().run_until([&] { return result.has_value(); });
    result_ = *result;
    return out;
  }

  const std::string& said() const { return said_; }
  const ExecResult& result() const { return result_; }

 private:
  std::string said_;
  ExecResult result_;
};

TEST_F(InteractiveTest, StandardInputIsWhatWasGivenUpToItsEnd) {
  sys::Pipe pipe = sys::pipe();
  sys::write_all(pipe.write.get(), "one\ntwo\n");
  pipe.write.reset();
  ExecSpec spec = sh("cat; echo end");
  spec.input_fd = pipe.read.get();
  EXPECT_EQ(output_of(spec), "one\ntwo\nend\n");
}

TEST_F(InteractiveTest, WithoutOneStandardInputIsEmpty) {
  EXPECT_EQ(output_of(sh("cat; readlink /proc/self/fd/0")), "/dev/null\n");
}

TEST_F(InteractiveTest, ATerminalIsTheSandboxsOwnAndControlsTheSession) {
  const std::string out = on_terminal(
      sh("echo ready; read line; tty; stty size; echo got $line > /dev/tty; ls -ln /dev/pts/0"),
      "hello\n");
  EXPECT_EQ(result().exit_code, 0) << result().setup_error;
  EXPECT_THAT(out, HasSubstr("/dev/pts/0\r\n33 101\r\n"));
  EXPECT_THAT(out, HasSubstr("got hello\r\n"));
}

TEST_F(InteractiveTest, ATerminalBelongsToTheStepsUser) {
  ExecSpec spec = sh("stat -c %u:%g /dev/pts/0; echo fine > /dev/tty");
  spec.uid = 1234;
  spec.gid = 99;
  const std::string out = on_terminal(spec, "");
  EXPECT_THAT(out, HasSubstr("1234:5\r\n"));
  EXPECT_THAT(out, HasSubstr("fine"));
}

TEST_F(InteractiveTest, ControlCOfATerminalInterruptsItsForeground) {
  // A shell that gets the signal before it starts a command would wait for that one's end first.
  const std::string out = on_terminal(
      sh("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"), "\x03");
  EXPECT_THAT(out, HasSubstr("caught"));
  EXPECT_EQ(result().exit_code, 9);
}

TEST_F(InteractiveTest, ATerminalOfACommandThatCannotRunIsReported) {
  ExecSpec spec = sh("");
  spec.args = {"/no/such/program"};
  on_terminal(spec, "");
  EXPECT_EQ(result().exit_code, 127);
  EXPECT_THAT(result().setup_error, HasSubstr("/no/such/program"));
}

TEST_F(InteractiveTest, SignalsReachACommandThatHandlesThem) {
  const auto result = converse(sh("trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"),
                               "ready", [&](auto step) { executor().signal(step, SIGUSR1); });
  EXPECT_EQ(result.exit_code, 7);
}

TEST_F(InteractiveTest, AnInitPassesSignalsOnThatTheCommandHasNoHandlerFor) {
  ExecSpec spec = sh("echo ready; exec sleep 60");
  spec.init = true;
  const auto result = converse(spec, "ready", [&](auto step) { executor().signal(step, SIGTERM); });
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
}

TEST_F(InteractiveTest, AnInitReapsOrphansAndEndsAsTheCommandDoes) {
  ExecSpec spec =
      sh("(sleep 0.1 & exec true); sleep 0.5; ps -o pid,stat,comm | grep -c ' Z' ; "
         "echo pid $$; exit 5");
  spec.init = true;
  const auto finished = run(spec);
  EXPECT_EQ(finished.result.exit_code, 5);
  EXPECT_THAT(finished.out, HasSubstr("0\n"));
  EXPECT_EQ(finished.out.find("pid 1\n"), std::string::npos) << finished.out;
}

TEST_F(InteractiveTest, ACommandThatIsNotThereIsReportedThroughAnInit) {
  ExecSpec spec = sh("");
  spec.args = {"/no/such/program"};
  spec.init = true;
  const auto finished = run(spec);
  EXPECT_EQ(finished.result.exit_code, 127);
  EXPECT_THAT(finished.result.setup_error, HasSubstr("/no/such/program"));
}

}  // namespace
}  // namespace lade
