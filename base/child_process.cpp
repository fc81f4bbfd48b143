#include "base/child_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/close_descriptors.hpp"
#include "base/error.hpp"
#include "base/own_mounts.hpp"
#include "base/signals.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr size_t kKeptErrors = 64 * 1024;
constexpr int kKeptFd = 3;

std::string find_program(const std::string& name, const std::vector<std::string>& env) {
  if (name.find('/') != std::string::npos) return name;
  for (const auto& variable : env) {
    if (!variable.starts_with("PATH=")) continue;
    for (const auto& dir : split(variable.substr(5), ':')) {
      const std::string path = dir + "/" + name;
      if (dir.starts_with('/') && ::access(path.c_str(), X_OK) == 0) return path;
    }
  }
  Error error(fmt::format("there is no program {} in PATH", quoted(name)), ErrorKind::not_found);
  error.set_hint("install the package " + name);
  throw error;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// All that the child needs, made before it exists: it shares this process's memory until it
/// executes, so it must not allocate, lock or throw.
struct Start {
  const char* program;
  char** args;
  char** env;
  const char* directory;
  int input;
  int output;
  int errors;
  int keep;
  bool own_mounts;
  pid_t parent;
};

void complain(const char* what) {
  const char* why = strerrordesc_np(errno);
  const iovec parts[] = {{const_cast<char*>(what), std::strlen(what)},
                         {const_cast<char*>(": "), 2},
                         {const_cast<char*>(why), std::strlen(why)},
                         {const_cast<char*>("\n"), 1}};
  [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, parts, 4);
}

/// dup2 that also clears O_CLOEXEC where nothing has to be moved.
bool place(int fd, int target) {
  return fd == target ? ::fcntl(fd, F_SETFD, 0) == 0 : ::dup2(fd, target) >= 0;
}

[[noreturn]] void run_child(const Start& start) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(0022);
  sandbox::reset_signals();
  // The descriptors are above the targets (see above_targets), so none is overwritten.
  bool ready = place(start.input, 0) && place(start.output, 1) && place(start.errors, 2) &&
               (start.keep < 0 || place(start.keep, kKeptFd)) && ::getppid() == start.parent;
  if (ready && start.own_mounts) {
    const char* failed = sandbox::try_own_mounts();
    if (failed != nullptr) complain(failed);
    ready = failed == nullptr;
  }
  ready = ready && ::chdir(start.directory) == 0;
  // What this process inherited from whoever started it is none of the program's business.
  sys::close_descriptors(start.keep < 0 ? kKeptFd : kKeptFd + 1, ~0U);
  if (ready) ::execve(start.program, start.args, start.env);
  ::_exit(127);
}

/// Makes the child; in a function of its own, because vfork's two returns share its frame.
[[gnu::noinline]] pid_t spawn(const Start& start) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // No handler of ours may run in the child.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // posix_spawn(3), which does the same, knows neither the umask nor the parent's death signal. On
  // Linux the child may call what only makes system calls.
  // NOLINTBEGIN(bugprone-unsafe-functions,clang-analyzer-unix.Vfork)
  const pid_t pid = ::vfork();
  if (pid == 0) run_child(start);
  // NOLINTEND(bugprone-unsafe-functions,clang-analyzer-unix.Vfork)
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

/// A duplicate above the descriptors that the child's own take the place of.
UniqueFd above_targets(int fd) {
  UniqueFd moved(::fcntl(fd, F_DUPFD_CLOEXEC, kKeptFd + 1));
  if (!moved) throw_errno("could not duplicate a descriptor");
  return moved;
}

/// A started child; killed with its group and reaped unless it was waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // in case it has not made its group yet
    reap();
  }

  int wait() {
    const int status = reap();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  int reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }
  pid_t pid_;
};

/// Reads what is there into `out`; false at the end.
bool drain(int fd, std::string& out) {
  char buffer[16 * 1024];
  const size_t count = sys::read_some(fd, buffer, sizeof buffer);
  out.append(buffer, count);
  return count > 0;
}

void collect(const ProcessSpec& spec, UniqueFd output, UniqueFd errors,
             const Cancellation& cancellation, ProcessResult& result) {
  while (output || errors) {
    pollfd fds[3] = {{output ? output.get() : -1, POLLIN, 0},
                     {errors ? errors.get() : -1, POLLIN, 0},
                     {cancellation.fd(), POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0) {
      if (errno == EINTR) continue;
      throw_errno("could not wait for " + quoted(spec.args[0]));
    }
    cancellation.check();
    if (fds[0].revents != 0 && !drain(output.get(), result.output)) output.reset();
    if (result.output.size() > spec.max_output) {
      throw Error(quoted(spec.args[0]) + " says more than it should");
    }
    if (fds[1].revents != 0) {
      std::string fresh;
      if (!drain(errors.get(), fresh)) errors.reset();
      if (spec.on_error_output && !fresh.empty()) spec.on_error_output(fresh);
      result.errors += fresh;
      if (result.errors.size() > 2 * kKeptErrors) {
        result.errors.erase(0, result.errors.size() - kKeptErrors);
      }
    }
  }
}

}  // namespace

Cancellation::Cancellation() : event_(::eventfd(0, EFD_CLOEXEC)) {
  if (!event_) throw_errno("could not make an eventfd");
}

void Cancellation::cancel() {
  canceled_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);
}

void Cancellation::check() const {
  if (canceled_) throw Error("canceled", ErrorKind::canceled);
}

ProcessResult run_process(const ProcessSpec& spec, const Cancellation& cancellation) {
  cancellation.check();
  const std::string program = find_program(spec.args.at(0), spec.env);
  const UniqueFd null = sys::open("/dev/null", O_RDONLY);
  sys::Pipe output = sys::pipe();
  sys::Pipe errors = sys::pipe();
  const UniqueFd child_input = above_targets(null.get());
  UniqueFd child_output = above_targets(output.write.get());
  UniqueFd child_errors = above_targets(errors.write.get());
  const UniqueFd keep = spec.keep_fd >= 0 ? above_targets(spec.keep_fd) : UniqueFd();
  auto args = pointers(spec.args);
  auto env = pointers(spec.env);
  const pid_t pid = spawn({.program = program.c_str(),
                           .args = args.data(),
                           .env = env.data(),
                           .directory = spec.directory.c_str(),
                           .input = child_input.get(),
                           .output = child_output.get(),
                           .errors = child_errors.get(),
                           .keep = keep ? keep.get() : -1,
                           .own_mounts = spec.own_mounts && ::geteuid() == 0,
                           .parent = ::getpid()});
  if (pid < 0) throw_errno("could not start " + quoted(program));
  Child child(pid);
  for (UniqueFd* ours : {&child_output, &child_errors, &output.write, &errors.write}) ours->reset();
  ProcessResult result;
  collect(spec, std::move(output.read), std::move(errors.read), cancellation, result);
  result.exit_code = child.wait();
  return result;
}

}  // namespace lade
