#pragma once

#include <cstdint>

namespace lade {

/// How steps are kept from the machine's devices; the strictest that still works for them first.
/// Insecure steps are not.
enum class DeviceDefence : uint8_t {
  cgroup_v2,  ///< rules as a BPF program
  cgroup_v1,  ///< rules of the devices controller
  mounts,     ///< no mount of a step's but its /dev has devices
};

}  // namespace lade
