// A step's end of the network: a namespace with an interface whose packets come to a descriptor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/unique_fd.hpp"

namespace lade::sandbox {

struct NetworkLink {
  UniqueFd netns;
  UniqueFd tap;  ///< Ethernet frames, one per read(2) or write(2); non-blocking
};

// slirp4netns's own network, as it has it by default; in the host's byte order.
constexpr uint32_t network_step = 0x0a000264;         ///< 10.0.2.100
constexpr uint32_t network_gateway = 0x0a000202;      ///< 10.0.2.2
constexpr uint32_t network_name_server = 0x0a000203;  ///< 10.0.2.3
constexpr uint32_t network_mask = 0xffffff00;

/// A fresh network namespace (the caller's is left for a moment, and `own_netns` entered again)
/// with `lo` and `tap0` up: the step's address, default route via the gateway; no IPv6 beyond
/// loopback. Nothing answers yet. Both descriptors keep it alive. Throws
/// Error.
NetworkLink make_network_link(int own_netns);

/// The largest frame: of the largest packet that slirp4netns takes.
constexpr int network_mtu = 65520;
constexpr size_t network_frame_bytes = network_mtu + 14;

}  // namespace lade::sandbox
