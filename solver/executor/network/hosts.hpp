// /etc/hosts and /etc/resolv.conf of sandboxes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/address_range.hpp"
#include "solver/executor/network/network_reach.hpp"

namespace lade {

/// /etc/resolv.conf for sandboxes: the host's, without servers that a sandbox could not reach:
/// loopback, and what is `denied` (the host's own addresses among it). Where the host has no
/// others, the file with the upstream servers that systemd-resolved or NetworkManager keep beside
/// theirs is used, then the network helper's forwarder. As it is for `host`.
std::string sandbox_resolv_conf(NetworkMode network, const AddressSet& denied);

/// /etc/hosts with localhost and `hostname` and "IP name" lines for `extra_hosts`.
std::string sandbox_hosts(const std::string& hostname,
                          const std::vector<std::pair<std::string, std::string>>& extra_hosts);

}  // namespace lade
