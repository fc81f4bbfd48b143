#include "solver/executor/network/network_link.hpp"

#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/sys.hpp"

namespace lade::sandbox {
namespace {

constexpr const char* interface = "tap0";

/// Back in the zygote's namespace, come what may.
class Visit {
 public:
  explicit Visit(int home) : home_(home) {
    if (::unshare(CLONE_NEWNET) != 0) throw_errno("could not make a network namespace");
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    // What else could be done here? Nothing of ours uses the namespace it is in.
    [[maybe_unused]] const int failed = ::setns(home_, CLONE_NEWNET);
  }

 private:
  int home_;
};

ifreq request_for(const char* name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

sockaddr address_of(uint32_t number) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(number);
  sockaddr out{};
  std::memcpy(&out, &address, sizeof out);
  return out;
}

void control(int fd, unsigned long operation, void* argument, const char* doing) {
  if (::ioctl(fd, operation, argument) != 0) {
    throw_errno(std::string("could not set up the network of a sandbox: ") + doing);
  }
}

UniqueFd open_tap() {
  UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap) {
    throw_errno(
        "could not set up the network of a sandbox, which takes /dev/net/tun (load the module tun, "
        "give the container the device, or build with --network=host or --network=none)");
  }
  ifreq request = request_for(interface);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  control(tap.get(), TUNSETIFF, &request, "a tap interface");
  // It goes with its namespace, which the kernel clears away by itself and all of a build at once;
  // to unregister one when its descriptor is closed takes its process some 20 ms.
  if (::ioctl(tap.get(), TUNSETPERSIST, 1) != 0) {
    throw_errno("could not set up the network of a sandbox: a tap interface");
  }
  return tap;
}

/// Otherwise the kernel itself would send packets that nobody asked for: router solicitations.
void disable_ipv6() {
  const UniqueFd setting(::open("/proc/sys/net/ipv6/conf/tap0/disable_ipv6", O_WRONLY | O_CLOEXEC));
  if (setting) sys::write_all(setting.get(), "1");
}

void bring_up(int socket, const char* name) {
  ifreq request = request_for(name);
  control(socket, SIOCGIFFLAGS, &request, name);
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  control(socket, SIOCSIFFLAGS, &request, name);
}

void configure() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throw_errno("could not set up the network of a sandbox");
  bring_up(socket.get(), "lo");
  ifreq request = request_for(interface);
  request.ifr_mtu = network_mtu;
  control(socket.get(), SIOCSIFMTU, &request, "its MTU");
  bring_up(socket.get(), interface);
  request.ifr_addr = address_of(network_step);
  control(socket.get(), SIOCSIFADDR, &request, "its address");
  request.ifr_netmask = address_of(network_mask);
  control(socket.get(), SIOCSIFNETMASK, &request, "its netmask");
  char device[] = "tap0";  // the kernel's struct wants it writable
  rtentry route{};
  route.rt_dst = address_of(INADDR_ANY);
  route.rt_genmask = address_of(INADDR_ANY);
  route.rt_gateway = address_of(network_gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  route.rt_dev = device;
  control(socket.get(), SIOCADDRT, &route, "its route");
}

}  // namespace

NetworkLink make_network_link(int own_netns) {
  const Visit visit(own_netns);
  NetworkLink link;
  link.netns = sys::open("/proc/self/ns/net", O_RDONLY);
  link.tap = open_tap();
  disable_ipv6();
  configure();
  return link;
}

}  // namespace lade::sandbox
