// Which of the machine's devices a step may use: runc's default rules, as cgroup v1 takes them in
// words and cgroup v2 as a BPF program that this file assembles.
//
// Nodes of any device may be made (mknod(2)); what may be opened are a few character devices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linux/bpf.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace lade::sandbox {

/// Whether a node of this type and number may be opened.
bool may_open(mode_t type, dev_t number);

/// Lines for devices.allow of cgroup v1, where nothing is allowed before.
std::vector<std::string> v1_device_rules();

/// A program that answers 1 to what is allowed and 0 to the rest.
std::vector<bpf_insn> device_program();

/// Has the kernel check and keep the program. Throws Error.
UniqueFd load_device_program();

/// Has a cgroup's (v2) processes obey it, and those of the groups below. It goes with the group.
/// Throws Error.
void attach_device_program(int program, int group);

}  // namespace lade::sandbox
