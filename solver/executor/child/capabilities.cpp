#include "solver/executor/child/capabilities.hpp"

#include <array>
#include <cerrno>

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade::sandbox {
namespace {

constexpr std::array docker_default = {
    CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_FOWNER,      CAP_FSETID,           CAP_KILL,
    CAP_SETGID,     CAP_SETUID,       CAP_SETPCAP,     CAP_NET_BIND_SERVICE, CAP_NET_RAW,
    CAP_SYS_CHROOT, CAP_MKNOD,        CAP_AUDIT_WRITE, CAP_SETFCAP,
};

constexpr uint64_t docker_default_mask() {
  uint64_t mask = 0;
  for (const int capability : docker_default) mask |= uint64_t{1} << capability;
  return mask;
}

// Version 3 of the interface carries 64 capabilities in two elements.
using Sets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

__user_cap_header_struct this_process() {
  return {_LINUX_CAPABILITY_VERSION_3, 0};
}

uint64_t permitted_here() {
  auto header = this_process();
  Sets sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) throw_errno("could not read capabilities");
  return sets[0].permitted | uint64_t{sets[1].permitted} << 32;
}

}  // namespace

uint64_t step_capabilities(SecurityMode security) {
  const uint64_t here = permitted_here();
  return security == SecurityMode::insecure ? here : here & docker_default_mask();
}

void limit_bounding_set(uint64_t keep) {
  for (int capability = 0; capability < 64; ++capability) {
    if ((keep >> capability & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return;  // past the last one this kernel knows
    throw_errno("could not limit the capabilities");
  }
}

void set_capabilities(uint64_t set) {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  auto header = this_process();
  Sets sets{};
  for (auto& half : sets) {
    half.permitted = half.effective = static_cast<uint32_t>(set);
    set >>= 32;
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) throw_errno("could not set capabilities");
}

}  // namespace lade::sandbox
