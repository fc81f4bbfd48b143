#include "solver/executor/cgroup/device_rules.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade::sandbox {
namespace {

struct Openable {
  unsigned major_number;
  int minor_number;  // any_minor
};
constexpr int any_minor = -1;

// Those of runc since 1.2, which BuildKit comes with; one after the other of each major number.
// Earlier ones had /dev/net/tun (10:200), too. Neither has /dev/console (5:1), which is the
// machine's.
constexpr std::array<Openable, 8> openable{{{1, 3},              // null
                                            {1, 5},              // zero
                                            {1, 7},              // full
                                            {1, 8},              // random
                                            {1, 9},              // urandom
                                            {5, 0},              // tty
                                            {5, 2},              // ptmx
                                            {136, any_minor}}};  // what ptmx makes

/// A program without loops whose answer is in register 0 when it jumps to its end. Each instruction
/// costs the kernel's verifier 2 us, in every zygote.
class DeviceProgram {
 public:
  DeviceProgram() {
    constexpr int opening = (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE) << 16;
    constexpr int type_bits = 0xffff;
    add({BPF_ALU64 | BPF_MOV | BPF_K, answer, 0, 0, 1});
    load(access, offsetof(bpf_cgroup_dev_ctx, access_type));
    add({BPF_ALU64 | BPF_MOV | BPF_X, type, access, 0, 0});
    add({BPF_ALU64 | BPF_AND | BPF_K, access, 0, 0, opening});
    end_if(BPF_JEQ, access, 0);
    add({BPF_ALU64 | BPF_AND | BPF_K, type, 0, 0, type_bits});
    const size_t not_character = jump(BPF_JNE, type, BPF_DEVCG_DEV_CHAR);
    load(major_number, offsetof(bpf_cgroup_dev_ctx, major));
    load(minor_number, offsetof(bpf_cgroup_dev_ctx, minor));
    for (size_t i = 0; i < openable.size();) i = add_major(i);
    land(not_character);
    add({BPF_ALU64 | BPF_MOV | BPF_K, answer, 0, 0, 0});
    for (const size_t jump : to_end_) land(jump);
    add({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
  }
  std::vector<bpf_insn> take() { return std::move(code_); }

 private:
  enum Register : uint8_t { answer = 0, context, access, type, major_number, minor_number };

  /// All devices of one major number, the first at `i`. Returns where the next begin.
  size_t add_major(size_t i) {
    const auto number = static_cast<int>(openable[i].major_number);
    if (openable[i].minor_number == any_minor) {
      end_if(BPF_JEQ, major_number, number);
      return i + 1;
    }
    const size_t other = jump(BPF_JNE, major_number, number);
    for (; i < openable.size() && static_cast<int>(openable[i].major_number) == number; ++i) {
      end_if(BPF_JEQ, minor_number, openable[i].minor_number);
    }
    land(other);
    return i;
  }

  void add(bpf_insn instruction) { code_.push_back(instruction); }
  void load(uint8_t to, size_t offset) {
    add({BPF_LDX | BPF_MEM | BPF_W, to, context, static_cast<int16_t>(offset), 0});
  }
  size_t jump(int condition, uint8_t in, int value) {
    add({static_cast<uint8_t>(BPF_JMP | BPF_K | condition), in, 0, 0, value});
    return code_.size() - 1;
  }
  void end_if(int condition, uint8_t in, int value) {
    to_end_.push_back(jump(condition, in, value));
  }
  /// The jump goes to what is added next.
  void land(size_t jump) { code_[jump].off = static_cast<int16_t>(code_.size() - jump - 1); }

  std::vector<bpf_insn> code_;
  std::vector<size_t> to_end_;
};

long bpf(int command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

}  // namespace

bool may_open(mode_t type, dev_t number) {
  if (!S_ISCHR(type)) return false;
  return std::ranges::any_of(openable, [&](const Openable& device) {
    return device.major_number == major(number) &&
           (device.minor_number == any_minor ||
            static_cast<unsigned>(device.minor_number) == minor(number));
  });
}

std::vector<std::string> v1_device_rules() {
  std::vector<std::string> out = {"c *:* m", "b *:* m"};
  for (const auto& [major_number, minor_number] : openable) {
    const auto minors = minor_number == any_minor ? "*" : fmt::format("{}", minor_number);
    out.push_back(fmt::format("c {}:{} rwm", major_number, minors));
  }
  return out;
}

std::vector<bpf_insn> device_program() {
  return DeviceProgram().take();
}

UniqueFd load_device_program() {
  const auto code = device_program();
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uintptr_t>(code.data());
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  UniqueFd program(static_cast<int>(bpf(BPF_PROG_LOAD, attributes)));
  if (!program) throw_errno("could not load the device rules");
  return program;
}

void attach_device_program(int program, int group) {
  bpf_attr attributes{};
  attributes.target_fd = static_cast<uint32_t>(group);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program);
  attributes.attach_type = BPF_CGROUP_DEVICE;
  // Beside what groups above have, such as a service manager's rules: all must agree.
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attributes) != 0) throw_errno("could not apply the device rules");
}

}  // namespace lade::sandbox
