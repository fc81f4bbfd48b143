// The IPv4 addresses at which this machine takes packets itself, kept current.
//
// They are its local and broadcast routes rather than the addresses of its interfaces: the kernel
// goes by those, and there are whole networks among them (127.0.0.0/8, any network on `lo`, routes
// of type local).
#pragma once

#include <vector>

#include "base/address_range.hpp"
#include "base/unique_fd.hpp"
#include "solver/executor/network/network_reach.hpp"

namespace lade::sandbox {

class HostAddresses {
 public:
  /// Of the calling process's network namespace. Throws Error.
  HostAddresses();

  const std::vector<AddressRange>& ranges() const { return ranges_; }
  /// Readable once they may have changed.
  int fd() const { return changes_.get(); }
  /// Reads them again if they may have; whether it did. Throws Error.
  bool refresh();

 private:
  UniqueFd changes_;  // told of changes to routes and addresses
  std::vector<AddressRange> ranges_;
};

/// What steps cannot reach while this machine's addresses are `host`.
std::vector<AddressRange> denied_addresses(const NetworkReach& reach,
                                           const std::vector<AddressRange>& host);

}  // namespace lade::sandbox
