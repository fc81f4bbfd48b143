#include "base/signals.hpp"

#include <signal.h>

namespace lade::sandbox {

void reset_signals(std::initializer_list<int> ignored) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  // Ignored signals stay so across execve(2), unlike handled ones. SIGKILL, SIGSTOP and the C
  // library's own two refuse, harmlessly.
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int signal : ignored) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace lade::sandbox
