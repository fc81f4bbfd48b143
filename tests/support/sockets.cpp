#include "tests/support/sockets.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.hpp"

namespace lade::test {
namespace {

struct sockaddr_in address_of(const std::string& address, int port) {
  struct sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(port));
  ::inet_pton(AF_INET, address.c_str(), &name.sin_addr);
  return name;
}

}  // namespace

UniqueFd bound_socket(const std::string& address, int& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct sockaddr_in name = address_of(address, 0);
  socklen_t size = sizeof name;
  if (!fd || ::bind(fd.get(), reinterpret_cast<struct sockaddr*>(&name), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<struct sockaddr*>(&name), &size) != 0) {
    throw_errno("could not bind " + address);
  }
  port = ntohs(name.sin_port);
  return fd;
}

UniqueFd connected_socket(const std::string& host) {
  const size_t colon = host.rfind(':');
  const struct sockaddr_in name =
      address_of(host.substr(0, colon), std::stoi(host.substr(colon + 1)));
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd ||
      ::connect(fd.get(), reinterpret_cast<const struct sockaddr*>(&name), sizeof name) != 0) {
    throw_errno("could not connect to " + host);
  }
  return fd;
}

std::string read_head(int fd) {
  std::string head;
  char c = 0;
  while (!head.ends_with("\r\n\r\n") && ::recv(fd, &c, 1, 0) == 1) {
    constexpr char kTlsHandshake = 22;
    if (head.empty() && c == kTlsHandshake) return "";
    head += c;
  }
  return head.ends_with("\r\n\r\n") ? head : "";
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

/// A zero linger time makes the kernel send RST; connecting to nowhere closes without the
/// descriptor.
void reset_connection(int fd) {
  const struct linger linger = {1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  struct sockaddr none = {};
  none.sa_family = AF_UNSPEC;
  ::connect(fd, &none, sizeof none);
}

}  // namespace lade::test
