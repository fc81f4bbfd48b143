#include "solver/executor/child/init.hpp"

#include <cerrno>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade::sandbox {
namespace {

constexpr int kSignaled = 128;

/// Ends with the child's end; other processes' ends are taken note of only.
void reap(pid_t child) {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != child) continue;
    ::_exit(WIFSIGNALED(status) ? kSignaled + WTERMSIG(status) : WEXITSTATUS(status));
  }
}

[[noreturn]] void serve(pid_t child, const sigset_t& all) {
  for (;;) {
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&all, &info);
    if (signal < 0) continue;  // EINTR
    if (signal == SIGCHLD) {
      reap(child);
    } else {
      ::kill(child, signal);
    }
  }
}

void take_terminal() {
  ::setpgid(0, 0);
  // Not in the foreground yet, which SIGTTOU would punish; blocked it is not. No terminal, no harm.
  ::tcsetpgrp(STDIN_FILENO, ::getpid());
}

}  // namespace

void become_init(int failure_fd) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t child = ::fork();
  if (child < 0) throw_errno("could not start the command's process");
  if (child > 0) {
    ::close(failure_fd);
    serve(child, all);
  }
  take_terminal();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace lade::sandbox
