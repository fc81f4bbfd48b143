// Carries Ethernet frames between a sandbox's interface and the network helper's socket: what
// frame_filter.hpp lets pass, with this machine's addresses of the moment.
#pragma once

#include <vector>

#include "base/address_range.hpp"

namespace lade::sandbox {

/// Why no more frames are carried.
enum class CarryEnd {
  told,       ///< the other end of `exit_fd` is closed
  interface,  ///< the sandbox's interface is gone
  helper,     ///< the network helper is gone
};

/// Until one of the three ends. `tap` and `socket` are non-blocking. `denied` is what a step may
/// not reach beside this machine. Throws Error where the machine's addresses cannot be read.
CarryEnd carry_frames(int tap, int socket, int exit_fd, const std::vector<AddressRange>& denied);

}  // namespace lade::sandbox
