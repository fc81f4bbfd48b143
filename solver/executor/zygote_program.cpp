#include "solver/executor/zygote_program.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "base/error.hpp"
#include "solver/executor/zygote.hpp"

namespace lade {
namespace sandbox {
namespace {

constexpr const char* program_name = "lade-zygote";
constexpr int fixed_channel = 3;
constexpr int fixed_options = 4;

/// Out of the way of the two, wherever it is.
UniqueFd moved_up(int fd) {
  UniqueFd out(::fcntl(fd, F_DUPFD_CLOEXEC, fixed_options + 1));
  if (!out) throw_errno("could not duplicate a descriptor");
  return out;
}

}  // namespace

pid_t execute_zygote(const Channel& end, const ExecutorOptions& options) {
  const UniqueFd channel = moved_up(end.fd());
  const UniqueFd details = moved_up(memory_file(encode(options)).get());
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, channel.get(), fixed_channel);
  ::posix_spawn_file_actions_adddup2(&actions, details.get(), fixed_options);
  // A signal of the terminal must not meet it before it ignores those.
  sigset_t all;
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char name[] = "lade-zygote";
  char* const arguments[] = {name, nullptr};
  pid_t pid = -1;
  const int failed =
      ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw Error::from_errno(failed, "could not start the zygote");
  return pid;
}

}  // namespace sandbox

void become_zygote_if_asked(int argc, char** argv) {
  if (argc != 1 || std::strcmp(argv[0], sandbox::program_name) != 0) return;
  try {
    for (const int fd : {sandbox::fixed_channel, sandbox::fixed_options}) {
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        throw_errno("lade-zygote is not to be run by hand");
    }
    const UniqueFd details(sandbox::fixed_options);
    const auto options = sandbox::decode_executor_options(sandbox::read_memory_file(details.get()));
    sandbox::run_zygote(sandbox::Channel(UniqueFd(sandbox::fixed_channel)), options);
  } catch (const Error& error) {
    ::dprintf(STDERR_FILENO, "ERROR: %s\n", error.what());
    ::_exit(1);
  }
}

}  // namespace lade
