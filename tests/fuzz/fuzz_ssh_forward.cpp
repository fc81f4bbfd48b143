// What a step says to the agent that it was lent, and what an agent answers: to the agent only
// whole requests go that a step may make, one at a time.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/event_loop.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "solver/ops/ssh_forward.hpp"

namespace {

using namespace lade;

void require(bool holds) {
  if (!holds) std::abort();
}

UniqueFd new_socket(const std::string& path, sockaddr_un& address) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  address.sun_family = AF_UNIX;
  require(fd && path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  return fd;
}

UniqueFd listen_at(const std::string& path) {
  sockaddr_un address{};
  UniqueFd fd = new_socket(path, address);
  require(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
          ::listen(fd.get(), 4) == 0);
  return fd;
}

UniqueFd connect_to_socket(const std::string& path) {
  sockaddr_un address{};
  UniqueFd fd = new_socket(path, address);
  require(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

std::string drain_socket(int fd) {
  std::string out(1 << 20, '\0');
  const ssize_t size = ::recv(fd, out.data(), out.size(), MSG_DONTWAIT);
  out.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return out;
}

/// One whole request for keys or a signature, or nothing.
void check_request(std::string_view bytes) {
  if (bytes.empty()) return;
  require(bytes.size() >= 5);
  uint32_t size = 0;
  for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[i]);
  require(bytes.size() == size + 4);
  require(bytes[4] == 11 || bytes[4] == 13);
}

/// Lets what is ready happen.
void turn(EventLoop& loop) {
  bool over = false;
  loop.post([&] { loop.post([&] { over = true; }); });
  loop.run_until([&] { return over; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The first byte says where the step's bytes end and the agent's begin.
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t part = bytes.size() * data[0] / 256;
  static const TempDir temp = TempDir::create("/dev/shm", "lade-fuzz-");
  static const UniqueFd agent = listen_at(temp.path() + "/agent-itself");
  const std::string place = temp.path() + "/step";
  sys::make_dirs(place);
  EventLoop loop;
  {
    SshForward forward(loop, listen_for_ssh(place, temp.path() + "/agent-itself", 0600, 0, 0));
    const UniqueFd step = connect_to_socket(place + "/" + std::string(kSshSocketName));
    turn(loop);
    const UniqueFd inner(::accept4(agent.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    require(bool(inner));
    ::send(step.get(), bytes.data(), part, MSG_NOSIGNAL | MSG_DONTWAIT);
    turn(loop);
    const std::string first = drain_socket(inner.get());
    check_request(first);
    ::send(inner.get(), bytes.data() + part, bytes.size() - part, MSG_NOSIGNAL | MSG_DONTWAIT);
    turn(loop);
    // Without a whole answer there is no second request.
    const std::string second = drain_socket(inner.get());
    check_request(second);
    drain_socket(step.get());
  }
  ::unlink((place + "/" + std::string(kSshSocketName)).c_str());
  return 0;
}
