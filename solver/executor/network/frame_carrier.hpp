// Carries Ethernet frames between a sandbox's interface and the network helper's socket: what
// frame_filter.hpp lets pass, with this machine's addresses of the moment.
#pragma once

#include "solver/executor/network/network_reach.hpp"

namespace lade::sandbox {

/// Why no more frames are carried.
enum class CarryEnd {
  told,       ///< the other end of `exit_fd` is closed
  interface,  ///< the sandbox's interface is gone
  helper,     ///< the network helper is gone
};

/// Until one of the three ends. `tap` and `socket` are non-blocking. A step
/// gets where `reach` says. Throws Error where the machine's addresses cannot be read.
CarryEnd carry_frames(int tap, int socket, int exit_fd, const NetworkReach& reach);

}  // namespace lade::sandbox
