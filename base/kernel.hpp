// Which kernel lade runs on, and what of it lade cannot do without.
#pragma once

#include <string>

namespace lade {

struct KernelVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

/// Every step works from this one on (overlayfs's `volatile` is the newest part).
inline constexpr KernelVersion oldest_kernel{5, 10};

/// Of the running kernel; 0.0 if its name says nothing.
KernelVersion kernel_version();

/// Throws Error with a hint if a call did not work because the kernel lacks it or a container's
/// filter denies it, as errno says; otherwise it is the caller's to report.
void require_call(bool works, const char* name);

/// Throws Error where a system call is missing, or denied by a container's filter, that lade has no
/// substitute for: openat2(2), which keeps paths inside of a root filesystem, and pidfd_open(2).
void require_kernel();

/// To be added to a message of a sandbox that could not be made: empty from oldest_kernel on.
std::string old_kernel_note();

}  // namespace lade
