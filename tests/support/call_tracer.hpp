// Runs a command and looks at chosen system calls of it and of all that it starts, through ptrace.
// A seccomp filter stops at these calls alone, so that the rest runs at full speed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace lade::test {

/// A call that a tracee is about to make.
struct TracedCall {
  pid_t thread;
  long number;
  std::array<uint64_t, 6> arguments;

  std::string name() const;
};

class CallTracer {
 public:
  /// `calls` are names, separated by commas; those that this machine has not are left out. "creat"
  /// stands for every way to open a file that may make it. Ends the process when it cannot go on.
  explicit CallTracer(const std::string& calls);
  virtual ~CallTracer() = default;
  CallTracer(const CallTracer&) = delete;
  CallTracer& operator=(const CallTracer&) = delete;

  /// Until the last process that `command` started has ended; its exit code, 128 + N for signal N.
  int run(char** command);

 protected:
  /// The process of the command itself.
  pid_t root() const { return root_; }
  /// Called before each of the calls.
  virtual void seen(const TracedCall& call) = 0;
  /// Has the call at hand not be made, and fail.
  static void fail(pid_t thread, int error);

 private:
  void stopped(pid_t tracee, int status);
  [[noreturn]] void execute(pid_t tracer, char** command) const;

  std::vector<int> calls_;
  bool creating_ = false;
  pid_t root_ = -1;
};

/// Says what failed, with errno's text, and ends the process.
[[noreturn]] void die(const std::string& what);

}  // namespace lade::test
