// Running a helper program to its end, from a thread that may wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"

namespace lade {

/// Says, from any thread, that what is being waited for is not wanted any more.
class Cancellation {
 public:
  Cancellation();
  void cancel();
  bool canceled() const { return canceled_; }
  void check() const;  ///< throws Error(canceled) once it is
  /// Readable from then on; for poll().
  int fd() const { return event_.get(); }

 private:
  std::atomic<bool> canceled_{false};
  UniqueFd event_;
};

struct ProcessSpec {
  std::vector<std::string> args;  ///< args[0] is looked up in PATH of `env`'s
  std::vector<std::string> env;   ///< all of it
  std::string directory = "/";
  /// A descriptor that the process and its children keep open, for a lock that must outlive this
  /// process if they do; -1: none.
  int keep_fd = -1;
  /// It mounts, as skopeo does at podman's storage: what it mounts (and unmounts) stays its own.
  /// For root only; others can mount nothing.
  bool own_mounts = false;
  uint64_t max_output = 1u << 20;  ///< more on standard output is an Error
  /// Gets standard error as it comes; may be null.
  std::function<void(std::string_view)> on_error_output;
};

struct ProcessResult {
  int exit_code = 0;   ///< 128 + N if signal N ended it
  std::string output;  ///< standard output
  std::string errors;  ///< the last 64 KiB of standard error
};

/// Standard input is /dev/null, the umask 022, signals are as at a login. The process has a group
/// of its own, which is killed if `cancellation` says so (then throws Error(canceled)), and is
/// killed when the calling thread ends. Throws Error if it cannot be started (not_found: there is
/// no such program).
ProcessResult run_process(const ProcessSpec& spec, const Cancellation& cancellation);

}  // namespace lade
