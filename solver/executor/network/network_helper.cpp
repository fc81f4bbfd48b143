#include "solver/executor/network/network_helper.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/close_descriptors.hpp"
#include "base/error.hpp"
#include "base/mount_api.hpp"
#include "base/own_mounts.hpp"
#include "base/signals.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/network/frame_carrier.hpp"
#include "solver/executor/network/helper_root.hpp"
#include "solver/executor/network/network_link.hpp"

namespace lade::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto start_timeout = std::chrono::seconds(10);
constexpr const char* socket_name = "frames";

// Where the descriptors are, for what is executed to inherit no other.
enum Fixed : int { fixed_tap = 3, fixed_exit, fixed_errors, fixed_end };

void arrange_descriptors(int tap, int exit_fd, int errors) {
  // Out of each other's way first.
  const int above[] = {::fcntl(tap, F_DUPFD_CLOEXEC, fixed_end),
                       ::fcntl(exit_fd, F_DUPFD_CLOEXEC, fixed_end),
                       ::fcntl(errors, F_DUPFD_CLOEXEC, fixed_end)};
  for (int i = 0; i < 3; ++i) ::dup3(above[i], fixed_tap + i, O_CLOEXEC);
  sys::close_descriptors(fixed_end, ~0u);
}

/// slirp4netns with a socket in the working directory for a network card. The write end of a pipe
/// is its life line, besides the parent's.
[[noreturn]] void exec_slirp(const std::string& helper, int directory, pid_t parent) {
  reset_signals();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::dup2(fixed_errors, STDOUT_FILENO);
  ::dup2(fixed_errors, STDERR_FILENO);
  try {
    // Here and not in the process that carries frames, which would keep the host's filesystems
    // busy: slirp4netns detaches what it finds.
    if (::unshare(CLONE_NEWNS) != 0) throw_errno("could not make a mount namespace");
    own_mounts();
    hide_run();
  } catch (const Error& error) {
    ::dprintf(STDERR_FILENO, "%s\n", error.what());
    ::_exit(127);
  }
  const std::string mtu = fmt::format("--mtu={}", network_mtu);
  if (::fchdir(directory) == 0) {
    // --enable-sandbox and --enable-seccomp: it speaks TCP with whatever a step sends, so it gets
    // along with no capabilities, few system calls and an empty root.
    ::execl(helper.c_str(), "slirp4netns", mtu.c_str(), "--disable-host-loopback",
            "--enable-sandbox", "--enable-seccomp", "--target-type=bess", socket_name, nullptr);
  }
  ::dprintf(STDERR_FILENO, "could not run %s: %s\n", helper.c_str(), strerrorname_np(errno));
  ::_exit(127);
}

/// slirp4netns's process. It ends with this object.
class Slirp {
 public:
  Slirp(const std::string& helper, int directory) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw_errno("could not start slirp4netns");
    if (pid_ == 0) exec_slirp(helper, directory, parent);
  }
  Slirp(const Slirp&) = delete;
  Slirp& operator=(const Slirp&) = delete;
  ~Slirp() {
    if (has_ended()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }

  bool has_ended() {
    if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }
  /// Its socket is closed a moment before.
  bool ends_soon() {
    for (int i = 0; i < 1000 && !has_ended(); ++i) ::usleep(1000);
    return ended_;
  }
  void report_end() const {
    if (WIFSIGNALED(status_)) {
      ::dprintf(fixed_errors, "it was ended by SIG%s\n", sigabbrev_np(WTERMSIG(status_)));
    } else {
      ::dprintf(fixed_errors, "it ended with exit code %d\n", WEXITSTATUS(status_));
    }
  }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

bool is_told_to_end() {
  pollfd exit{fixed_exit, POLLIN, 0};
  return ::poll(&exit, 1, 0) > 0;
}

/// Its socket, once it listens; empty if it ended before, or took too long.
UniqueFd connect_to(Slirp& slirp, int directory, Clock::time_point deadline) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, socket_name);
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  while (Clock::now() < deadline && !slirp.has_ended() && !is_told_to_end()) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) break;
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return fd;
    ::usleep(500);
  }
  return {};
}

/// Whether it answers at all: it takes the connection before it sets itself up, and may fail then.
/// The question is who has the gateway's address, the answer whatever comes first.
bool answers(int socket, Clock::time_point deadline) {
  constexpr std::array<uint8_t, 42> question = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff,                // to all,
      2,    0,    0,    0,    0,    1,                   // from a card of nobody's
      8,    6,                                           // ARP
      0,    1,    8,    0,    6,    4,    0,  1,         // of IPv4 on Ethernet: a request
      2,    0,    0,    0,    0,    1,    0,  0, 0, 0,   // by one who has no address yet
      0,    0,    0,    0,    0,    0,    10, 0, 2, 2};  // for the gateway
  if (::write(socket, question.data(), question.size()) < 0) return false;
  while (Clock::now() < deadline) {
    pollfd fds[] = {{socket, POLLIN, 0}, {fixed_exit, POLLIN, 0}};
    if (::poll(fds, 2, 100) < 0) continue;
    if (fds[1].revents != 0) return false;
    if (fds[0].revents == 0) continue;
    std::array<char, 256> answer;
    return ::read(socket, answer.data(), answer.size()) > 0;
  }
  return false;
}

HelperExit serve(const std::string& helper, const NetworkReach& reach) {
  ::prctl(PR_SET_NAME, "lade-network");
  // A filesystem that is mounted nowhere: nothing is left of it, whatever happens.
  const UniqueFd directory = new_filesystem("tmpfs", {{"mode", "0700"}}, 0);
  Slirp slirp(helper, directory.get());
  const auto deadline = Clock::now() + start_timeout;
  const UniqueFd socket = connect_to(slirp, directory.get(), deadline);
  if (!socket || !answers(socket.get(), deadline)) {
    if (is_told_to_end()) return HelperExit::ended;
    if (slirp.ends_soon()) slirp.report_end();
    return HelperExit::no_start;
  }
  if (carry_frames(fixed_tap, socket.get(), fixed_exit, reach) != CarryEnd::helper) {
    return HelperExit::ended;
  }
  if (slirp.ends_soon()) {
    slirp.report_end();
  } else {
    ::dprintf(fixed_errors, "it closed its socket\n");
  }
  return HelperExit::lost;
}

}  // namespace

void run_network_helper(const std::string& helper, const NetworkReach& reach, int tap, int exit_fd,
                        int errors) {
  auto how = HelperExit::no_start;
  try {
    arrange_descriptors(tap, exit_fd, errors);
    how = serve(helper, reach);
  } catch (const Error& error) {
    ::dprintf(fixed_errors, "%s\n", error.what());
  }
  ::_exit(static_cast<int>(how));
}

std::string find_network_helper() {
  auto dirs = split(sys::getenv("PATH"), ':');
  for (const char* usual : {"/usr/local/bin", "/usr/bin", "/bin"}) dirs.emplace_back(usual);
  for (const auto& dir : dirs) {
    if (!dir.starts_with('/')) continue;
    std::string candidate = dir + "/slirp4netns";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  Error error("'slirp4netns' is needed for steps with network access and was not found",
              ErrorKind::not_found);
  error.set_hint("install the package slirp4netns, or build with --network=host or --network=none");
  throw error;
}

}  // namespace lade::sandbox
