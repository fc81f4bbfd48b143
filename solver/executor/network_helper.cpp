#include "solver/executor/network_helper.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/mount_api.hpp"
#include "solver/executor/network_link.hpp"
#include "solver/executor/signals.hpp"

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
  ::close_range(fixed_end, ~0u, 0);
}

/// slirp4netns with a socket in the working directory for a network card. The write end of a pipe
/// is its life line, besides the parent's.
[[noreturn]] void exec_slirp(const std::string& helper, int directory) {
  reset_signals();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == 1) ::_exit(1);
  ::dup2(fixed_errors, STDOUT_FILENO);
  ::dup2(fixed_errors, STDERR_FILENO);
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

/// Its socket, once it listens; empty if it ended before, or took too long.
UniqueFd connect_to(pid_t slirp, int directory) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, socket_name);
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  const auto deadline = Clock::now() + start_timeout;
  while (Clock::now() < deadline && ::waitpid(slirp, nullptr, WNOHANG) == 0) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) break;
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return fd;
    ::usleep(500);
  }
  return {};
}

/// Carries frames one way. A full receiver is waited for with the frame in hand.
class Carrier {
 public:
  Carrier(int from, int to) : from_(from), to_(to) {}

  bool is_blocked() const { return size_ > 0; }
  /// False when either side has ended.
  bool carry() {
    constexpr int burst = 64;  // then the other way gets its turn
    for (int i = 0; i < burst; ++i) {
      if (size_ == 0) {
        const ssize_t got = ::read(from_, frame_.data(), frame_.size());
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == 0) return false;
        size_ = static_cast<size_t>(got);
      }
      if (::write(to_, frame_.data(), size_) < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return true;
        if (errno == EPIPE || errno == ECONNRESET) return false;
        // A frame that the interface does not take is lost, as on any wire.
      }
      size_ = 0;
    }
    return true;
  }

 private:
  int from_;
  int to_;
  size_t size_ = 0;  // of the frame in hand
  std::array<char, network_frame_bytes> frame_;
};

short wanted(const Carrier& in, const Carrier& out) {
  return static_cast<short>((in.is_blocked() ? 0 : POLLIN) | (out.is_blocked() ? POLLOUT : 0));
}

void carry_frames(int tap, int socket, int exit_fd) {
  static Carrier out(tap, socket);
  static Carrier in(socket, tap);
  for (;;) {
    pollfd fds[] = {{tap, wanted(out, in), 0}, {socket, wanted(in, out), 0}, {exit_fd, POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0 && errno != EINTR) return;
    if (fds[2].revents != 0) return;
    if (!out.carry() || !in.carry()) return;
  }
}

}  // namespace

void run_network_helper(const std::string& helper, int tap, int exit_fd, int errors) {
  auto how = HelperExit::no_start;
  try {
    arrange_descriptors(tap, exit_fd, errors);
    ::prctl(PR_SET_NAME, "lade-network");
    // A filesystem that is mounted nowhere: nothing is left of it, whatever happens.
    const UniqueFd directory = new_filesystem("tmpfs", {{"mode", "0700"}}, 0);
    const pid_t slirp = ::fork();
    if (slirp < 0) throw_errno("could not start slirp4netns");
    if (slirp == 0) exec_slirp(helper, directory.get());
    const UniqueFd socket = connect_to(slirp, directory.get());
    if (socket) {
      how = HelperExit::ended;
      carry_frames(fixed_tap, socket.get(), fixed_exit);
    }
    ::kill(slirp, SIGKILL);
    ::waitpid(slirp, nullptr, 0);
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
