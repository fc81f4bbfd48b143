// kill_at N CALL[,CALL...] REPORT COMMAND...: runs COMMAND and ends it with SIGKILL the moment it,
// or any process that it started, is about to make the Nth of these system calls; what it started
// goes on as it then will. N = 0 lets everything happen. REPORT gets a line: how many of the calls
// were made up to the kill (or the end), whether it was killed, and at which call. The exit code is
// COMMAND's (137 if it was killed).
//
// A seccomp filter stops at these calls alone, so that the rest runs at full speed. Exits when the
// last process that COMMAND started has ended.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "kill_at: %s: %s\n", what, std::strerror(errno));
  std::_Exit(125);
}

std::vector<int> parse_calls(const std::string& text) {
  std::vector<int> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const int number = seccomp_syscall_resolve_name(text.substr(at, end - at).c_str());
    if (number == __NR_SCMP_ERROR) {
      errno = EINVAL;
      die(text.c_str());
    }
    // Negative: this machine has no such call.
    if (number >= 0) out.push_back(number);
    at = end + 1;
  }
  return out;
}

[[noreturn]] void run(pid_t tracer, const std::vector<int>& calls, char** command) {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (!filter) die("seccomp_init");
  // set-user-ID programs are to work; this needs root.
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  for (const int call : calls) {
    if (seccomp_rule_add(filter, SCMP_ACT_TRACE(0), call, 0) != 0) die("seccomp_rule_add");
  }
  // Until the tracer is there; if it was killed before that, nobody would end this.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != tracer) std::_Exit(125);
  ::raise(SIGSTOP);
  if (::prctl(PR_SET_PDEATHSIG, 0) != 0) die("prctl");
  if (seccomp_load(filter) != 0) die("seccomp_load");
  ::execvp(command[0], command);
  die(command[0]);
}

/// Number of the call that a tracee stands before.
long call_of(pid_t tracee) {
  struct __ptrace_syscall_info info{};
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, tracee, sizeof info, &info) <= 0) return -1;
  return static_cast<long>(info.seccomp.nr);
}

class Tracer {
 public:
  Tracer(pid_t root, long target) : root_(root), target_(target) {}

  /// Until nothing is left.
  void run() {
    for (;;) {
      int status = 0;
      const pid_t tracee = ::waitpid(-1, &status, __WALL);
      if (tracee < 0 && errno == EINTR) continue;
      if (tracee < 0) return;
      if (WIFSTOPPED(status)) {
        stopped(tracee, status);
      } else if (tracee == root_) {
        code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      }
    }
  }

  int report(const char* path) const {
    FILE* out = std::fopen(path, "w");
    if (!out) die(path);
    char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(call_));
    std::fprintf(out, "%ld %s %s\n", count_, killed_ ? "killed" : "ended",
                 killed_ && name ? name : "-");
    std::free(name);
    std::fclose(out);
    return code_;
  }

 private:
  void stopped(pid_t tracee, int status) {
    const int event = status >> 16;
    int signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_SECCOMP) {
      seen(tracee);
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      // A group stop: it lasts until SIGCONT.
      ::ptrace(PTRACE_LISTEN, tracee, nullptr, nullptr);
      return;
    }
    if (event != 0) signal = 0;
    ::ptrace(PTRACE_CONT, tracee, nullptr, signal);
  }

  void seen(pid_t tracee) {
    if (killed_) return;
    if (++count_ != target_) return;
    call_ = call_of(tracee);
    killed_ = true;
    ::kill(root_, SIGKILL);
  }

  pid_t root_;
  long target_;
  long count_ = 0;
  long call_ = -1;
  bool killed_ = false;
  int code_ = 125;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: kill_at N CALL[,CALL...] REPORT COMMAND...\n");
    return 2;
  }
  const std::vector<int> calls = parse_calls(argv[2]);
  const pid_t tracer_process = ::getpid();
  const pid_t root = ::fork();
  if (root < 0) die("fork");
  if (root == 0) run(tracer_process, calls, argv + 4);
  int status = 0;
  if (::waitpid(root, &status, WUNTRACED) != root || !WIFSTOPPED(status)) die("the command");
  constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                            PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (::ptrace(PTRACE_SEIZE, root, nullptr, kOptions) != 0) die("ptrace");
  ::kill(root, SIGCONT);
  Tracer tracer(root, std::strtol(argv[1], nullptr, 10));
  tracer.run();
  return tracer.report(argv[3]);
}
