// A step's end of the network: a namespace with an interface whose packets come to a descriptor.
#pragma once

#include "base/unique_fd.hpp"

namespace lade::sandbox {

struct NetworkLink {
  UniqueFd netns;
  UniqueFd tap;  ///< Ethernet frames, one per read(2) or write(2); non-blocking
};

/// A fresh network namespace (the caller's is left for a moment, and `own_netns` entered again)
/// with `lo` and `tap0` up: 10.0.2.100/24, default route via 10.0.2.2, as slirp4netns(1) has them
/// by default; no IPv6 beyond loopback. Nothing answers yet. Both descriptors keep it alive. Throws
/// Error.
NetworkLink make_network_link(int own_netns);

/// The largest frame: of the largest packet that slirp4netns takes.
constexpr int network_mtu = 65520;
constexpr size_t network_frame_bytes = network_mtu + 14;

}  // namespace lade::sandbox
