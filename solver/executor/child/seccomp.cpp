// How the program is made. The profile says a verdict for each call of each ABI. Neighbouring
// numbers with the same verdict form ranges, and a binary search over the ranges' first numbers
// finds the one a call is in: some eight comparisons for any call. libseccomp knows the numbers;
// its own compiler would take 25 ms here (it copies the whole rule set for every rule added), which
// is more than ten steps take.
//
// The verdicts: a call the profile allows runs; one that existed when the profile was written but
// is not allowed fails with EPERM; a newer one fails with ENOSYS, so that a C library falls back to
// an older call.
#include "solver/executor/child/seccomp.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <map>
#include <span>
#include <string_view>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"
#include "solver/executor/child/seccomp_profile.hpp"

namespace lade::sandbox {
namespace {

using Program = std::vector<sock_filter>;

enum class Verdict {
  allow,
  not_permitted,
  unknown_call,
  // Decided by the first argument:
  allow_socket,
  allow_personality,
  allow_clone,
};

/// A way to number calls.
struct Abi {
  uint32_t scmp_arch;
  uint32_t number_base;  ///< the bit that marks x32's numbers; 0 elsewhere
  uint32_t last_call;    ///< the last one that existed when the profile was written
};

#if defined(__x86_64__)
constexpr uint32_t x32_bit = 0x40000000;
constexpr Abi native_abi{SCMP_ARCH_X86_64, 0, last_new_call};
constexpr Abi compat_abi{SCMP_ARCH_X86, 0, last_new_call};
constexpr Abi x32_abi{SCMP_ARCH_X32, x32_bit, 547};
constexpr uint32_t native_audit_arch = AUDIT_ARCH_X86_64;
constexpr uint32_t compat_audit_arch = AUDIT_ARCH_I386;
#elif defined(__aarch64__)
constexpr Abi native_abi{SCMP_ARCH_AARCH64, 0, last_new_call};
constexpr Abi compat_abi{SCMP_ARCH_ARM, 0, last_new_call};
constexpr uint32_t native_audit_arch = AUDIT_ARCH_AARCH64;
constexpr uint32_t compat_audit_arch = AUDIT_ARCH_ARM;
#else
#error "no seccomp profile for this architecture"
#endif

sock_filter load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}

/// The low half of the first argument: all that the kernel looks at of a family, a persona, clone's
/// flags.
sock_filter load_first_argument() {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  return load(offsetof(seccomp_data, args));
}

sock_filter jump(int compare, uint32_t value, size_t over_if_true, size_t over_if_false) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | compare | BPF_K), value,
                  static_cast<uint8_t>(over_if_true), static_cast<uint8_t>(over_if_false));
}

sock_filter answer(uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}
const sock_filter allow = answer(SECCOMP_RET_ALLOW);
const sock_filter not_permitted = answer(SECCOMP_RET_ERRNO | EPERM);
const sock_filter unknown_call = answer(SECCOMP_RET_ERRNO | ENOSYS);

Program carry_out(Verdict verdict) {
  switch (verdict) {
    case Verdict::allow:
      return {allow};
    case Verdict::unknown_call:
      return {unknown_call};
    case Verdict::allow_socket:
      // AF_ALG (38) has a history of holes, AF_VSOCK (40) reaches the hypervisor.
      return {load_first_argument(), jump(BPF_JEQ, 38, 1, 0), jump(BPF_JEQ, 40, 0, 1),
              not_permitted, allow};
    case Verdict::allow_clone:
      return {load_first_argument(), jump(BPF_JSET, namespace_clone_flags, 0, 1), not_permitted,
              allow};
    case Verdict::allow_personality: {
      Program out = {load_first_argument()};
      for (const uint32_t persona : allowed_personalities) {
        out.push_back(jump(BPF_JEQ, persona, 0, 1));
        out.push_back(allow);
      }
      out.push_back(not_permitted);
      return out;
    }
    case Verdict::not_permitted:
      break;
  }
  return {not_permitted};
}

/// `if (accumulator >= value) then right else left`. Programs only jump forwards by relative
/// offsets, so they can be put together like text.
Program choose(int compare, uint32_t value, const Program& right, const Program& left) {
  constexpr size_t longest_jump = 255;
  Program out;
  if (left.size() <= longest_jump) {
    out.push_back(jump(compare, value, left.size(), 0));
  } else {
    out.push_back(jump(compare, value, 0, 1));
    out.push_back(BPF_STMT(BPF_JMP | BPF_JA, static_cast<uint32_t>(left.size())));
  }
  out.insert(out.end(), left.begin(), left.end());
  out.insert(out.end(), right.begin(), right.end());
  return out;
}

struct Range {
  uint32_t first;
  Verdict verdict;
};

Program search(std::span<const Range> ranges) {
  if (ranges.size() == 1) return carry_out(ranges[0].verdict);
  const size_t middle = ranges.size() / 2;
  return choose(BPF_JGE, ranges[middle].first, search(ranges.subspan(middle)),
                search(ranges.first(middle)));
}

using Verdicts = std::map<uint32_t, Verdict>;

void set_verdict(Verdicts& verdicts, const Abi& abi, const char* name, Verdict verdict) {
  const int number = seccomp_syscall_resolve_name_arch(abi.scmp_arch, name);
  if (number >= 0) verdicts[static_cast<uint32_t>(number)] = verdict;  // else: no such call there
}

/// What the profile says of each call it has an opinion on.
Verdicts profile_for(const Abi& abi) {
  Verdicts verdicts;
  for (const char* name : allowed_calls) set_verdict(verdicts, abi, name, Verdict::allow);
  for (const uint32_t number : allowed_new_calls) {
    verdicts[abi.number_base + number] = Verdict::allow;
  }
  set_verdict(verdicts, abi, "socket", Verdict::allow_socket);
  set_verdict(verdicts, abi, "personality", Verdict::allow_personality);
  set_verdict(verdicts, abi, "clone", Verdict::allow_clone);
  // Its flags lie in memory, where a filter cannot look.
  set_verdict(verdicts, abi, "clone3", Verdict::unknown_call);
  if (abi.scmp_arch == SCMP_ARCH_X86) {
    // Calls that used to be parts of socketcall and ipc, for which libseccomp tells no numbers.
    verdicts[i386_socket] = Verdict::allow_socket;
    for (const auto& [first, last] : i386_split_calls) {
      for (uint32_t number = first; number <= last; ++number) verdicts[number] = Verdict::allow;
    }
  }
  return verdicts;
}

/// Decides all calls of an ABI; the accumulator holds the number.
Program decide(const Abi& abi) {
  const Verdicts verdicts = profile_for(abi);
  std::vector<Range> ranges = {{0, Verdict::not_permitted}};
  const auto begin_range = [&](uint32_t first, Verdict verdict) {
    if (ranges.back().first == first) ranges.pop_back();
    if (ranges.empty() || ranges.back().verdict != verdict) ranges.push_back({first, verdict});
  };
  const uint32_t first_unknown = abi.number_base + abi.last_call + 1;
  const auto otherwise = [&](uint32_t number) {
    return number >= first_unknown ? Verdict::unknown_call : Verdict::not_permitted;
  };
  bool unknown_begun = false;
  for (const auto& [number, verdict] : verdicts) {
    if (number > first_unknown && !unknown_begun) begin_range(first_unknown, Verdict::unknown_call);
    unknown_begun = unknown_begun || number > first_unknown;
    begin_range(number, verdict);
    begin_range(number + 1, otherwise(number + 1));
  }
  if (!unknown_begun) begin_range(first_unknown, Verdict::unknown_call);
  return search(ranges);
}

Program decide_native() {
#if defined(__x86_64__)
  // Negative numbers land there, too, and are unknown.
  return choose(BPF_JGE, x32_bit, decide(x32_abi), decide(native_abi));
#else
  return decide(native_abi);
#endif
}

Program with_number(const Program& decision) {
  Program out = {load(offsetof(seccomp_data, nr))};
  out.insert(out.end(), decision.begin(), decision.end());
  return out;
}

}  // namespace

SeccompFilter SeccompFilter::compile() {
  SeccompFilter filter;
  filter.program_ = {load(offsetof(seccomp_data, arch))};
  const Program by_arch = choose(BPF_JEQ, native_audit_arch, with_number(decide_native()),
                                 choose(BPF_JEQ, compat_audit_arch, with_number(decide(compat_abi)),
                                        {answer(SECCOMP_RET_KILL_PROCESS)}));
  filter.program_.insert(filter.program_.end(), by_arch.begin(), by_arch.end());
  return filter;
}

void SeccompFilter::install() const {
  const sock_fprog program{static_cast<unsigned short>(program_.size()),
                           const_cast<sock_filter*>(program_.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    throw_errno("could not install the seccomp filter");
  }
}

}  // namespace lade::sandbox
