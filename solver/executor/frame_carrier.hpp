// Carries Ethernet frames between a sandbox's interface and the network helper's socket.
#pragma once

namespace lade::sandbox {

/// Why no more frames are carried.
enum class CarryEnd {
  told,       ///< the other end of `exit_fd` is closed
  interface,  ///< the sandbox's interface is gone
  helper,     ///< the network helper is gone
};

/// Until one of the three ends. All descriptors are non-blocking where they are read from.
CarryEnd carry_frames(int tap, int socket, int exit_fd);

}  // namespace lade::sandbox
