#include "tests/support/call_tracer.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lade::test {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void add(scmp_filter_ctx filter, int call) {
  if (seccomp_rule_add(filter, SCMP_ACT_TRACE(0), call, 0) != 0) die("seccomp_rule_add");
}

/// openat2's flags lie in memory, where a filter does not see them: see opens_only().
void add_creating(scmp_filter_ctx filter) {
  constexpr int kFlags = 2;
  for (const uint64_t flag : {uint64_t{O_CREAT}, uint64_t{O_TMPFILE}}) {
    if (seccomp_rule_add(filter, SCMP_ACT_TRACE(0), SCMP_SYS(openat), 1,
                         SCMP_CMP(kFlags, SCMP_CMP_MASKED_EQ, flag, flag)) != 0) {
      die("seccomp_rule_add");
    }
  }
  add(filter, SCMP_SYS(openat2));
  add(filter, SCMP_SYS(creat));
}

/// Whether it is an openat2 that makes nothing.
bool opens_only(const TracedCall& call) {
  if (call.number != SYS_openat2) return false;
  uint64_t flags = 0;
  iovec here{&flags, sizeof flags};
  iovec there{reinterpret_cast<void*>(call.arguments[2]), sizeof flags};
  if (::process_vm_readv(call.thread, &here, 1, &there, 1, 0) != sizeof flags) return false;
  return (flags & O_CREAT) == 0 && (flags & O_TMPFILE) != O_TMPFILE;
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what.c_str(),
               std::strerror(errno));
  std::_Exit(125);
}

std::string TracedCall::name() const {
  char* const found = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number));
  const std::string out = found ? found : "-";
  std::free(found);
  return out;
}

CallTracer::CallTracer(const std::string& calls) {
  for (const std::string& name : split(calls)) {
    if (name == "creat") {
      creating_ = true;
      continue;
    }
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) {
      errno = EINVAL;
      die(name);
    }
    // Negative: this machine has no such call.
    if (number >= 0) calls_.push_back(number);
  }
}

void CallTracer::execute(pid_t tracer, char** command) const {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (!filter) die("seccomp_init");
  // set-user-ID programs are to work; this needs root.
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  for (const int call : calls_) add(filter, call);
  if (creating_) add_creating(filter);
  // Until the tracer is there; if it was killed before that, nobody would end this.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != tracer) std::_Exit(125);
  ::raise(SIGSTOP);
  if (::prctl(PR_SET_PDEATHSIG, 0) != 0) die("prctl");
  if (seccomp_load(filter) != 0) die("seccomp_load");
  ::execvp(command[0], command);
  die(command[0]);
}

int CallTracer::run(char** command) {
  const pid_t tracer = ::getpid();
  root_ = ::fork();
  if (root_ < 0) die("fork");
  if (root_ == 0) execute(tracer, command);
  int status = 0;
  if (::waitpid(root_, &status, WUNTRACED) != root_ || !WIFSTOPPED(status)) die("the command");
  constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                            PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (::ptrace(PTRACE_SEIZE, root_, nullptr, kOptions) != 0) die("ptrace");
  ::kill(root_, SIGCONT);
  int code = 125;
  for (;;) {
    const pid_t tracee = ::waitpid(-1, &status, __WALL);
    if (tracee < 0 && errno == EINTR) continue;
    if (tracee < 0) return code;
    if (WIFSTOPPED(status)) {
      stopped(tracee, status);
    } else if (tracee == root_) {
      code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
  }
}

void CallTracer::stopped(pid_t tracee, int status) {
  const int event = status >> 16;
  int signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_SECCOMP) {
    struct __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, tracee, sizeof info, &info) > 0) {
      TracedCall call{tracee, static_cast<long>(info.seccomp.nr), {}};
      std::copy_n(info.seccomp.args, call.arguments.size(), call.arguments.begin());
      const bool all = std::find(calls_.begin(), calls_.end(), SYS_openat2) != calls_.end();
      if (all || !opens_only(call)) seen(call);
    }
  } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
    // A group stop: it lasts until SIGCONT.
    ::ptrace(PTRACE_LISTEN, tracee, nullptr, nullptr);
    return;
  }
  if (event != 0) signal = 0;
  ::ptrace(PTRACE_CONT, tracee, nullptr, signal);
}

void CallTracer::fail(pid_t thread, int error) {
#ifdef __x86_64__
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0) return;  // it was killed
  registers.orig_rax = static_cast<unsigned long long>(-1);
  registers.rax = static_cast<unsigned long long>(-static_cast<long long>(error));
  ::ptrace(PTRACE_SETREGS, thread, nullptr, &registers);
#else
  (void)thread, (void)error;
  errno = ENOSYS;
  die("failing calls");
#endif
}

}  // namespace lade::test
