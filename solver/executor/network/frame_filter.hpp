// Which frames of a step reach slirp4netns, and so the host's sockets.
//
// A step may write any bytes to its interface (CAP_NET_RAW), and slirp4netns connects to whatever
// they name as the host would: to 127.0.0.1 and 0.0.0.0, too. What passes is ARP, and IPv4 from the
// step's address to what is not the host itself; of slirp4netns's own network, its name server and
// pings. Everything else is dropped, whatever slirp4netns would make of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/address_range.hpp"

namespace lade::sandbox {

using Frame = std::span<const uint8_t>;

enum class Verdict {
  pass,
  drop,    ///< malformed, or of no use to a step: nobody is told
  refuse,  ///< sound, but its destination is denied: refusal_of() is the answer
};

/// `frame` is Ethernet, whole or cut off anywhere. `denied` is what no step may reach here, besides
/// what none may anywhere: 0.0.0.0/8, 127.0.0.0/8 and all from 224.0.0.0 on. slirp4netns's own
/// network is not asked for in it.
Verdict judge_frame(Frame frame, const AddressSet& denied);

/// Whether queries of a step to a name server there pass.
bool is_usable_name_server(uint32_t address, const AddressSet& denied);

/// The frame that tells a step its packet was refused (ICMP: communication administratively
/// prohibited), so that it need not wait for a timeout; of one that was judged so.
std::vector<uint8_t> refusal_of(Frame frame);

}  // namespace lade::sandbox
