// The system call filter of a step (seccomp(2)): Docker's default profile for Docker's default
// capabilities, for this architecture and those that run beside it (x86 and x32, or arm).
#pragma once

#include <cstddef>
#include <vector>

#include <linux/filter.h>

namespace lade::sandbox {

class SeccompFilter {
 public:
  /// Compiles the profile; once per zygote. Throws Error.
  static SeccompFilter compile();

  /// Filters the calling process and its children for good. Needs CAP_SYS_ADMIN, for no_new_privs
  /// is not set: set-uid programs must work in a build. Throws Error.
  void install() const;

  size_t size() const { return program_.size(); }

 private:
  std::vector<sock_filter> program_;
};

}  // namespace lade::sandbox
