// What processes may take of the machine, as cgroups limit it.
#pragma once

#include <cstdint>
#include <string>

namespace lade {

/// 0 or empty: not limited. Meanings are those of docker's --memory, --cpu-shares and so on.
struct CgroupLimits {
  int64_t memory = 0;       ///< bytes
  int64_t memory_swap = 0;  ///< bytes of memory and swap together; -1: any amount of swap
  uint64_t cpu_shares = 0;  ///< weight against others, of which 1024 is the usual one
  uint64_t cpu_period = 0;  ///< microseconds
  int64_t cpu_quota = 0;    ///< microseconds of processor time in each period
  std::string cpuset_cpus;  ///< "0-3,5"
  std::string cpuset_mems;  ///< likewise, of memory nodes
  int64_t pids = 0;         ///< processes and threads at a time

  bool operator==(const CgroupLimits&) const = default;
  bool any() const { return *this != CgroupLimits(); }
};

}  // namespace lade
