// Keys of a container's terminal that are for lade: what ends a container that does not end itself.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace lade {

/// Docker's --detach-keys: "ctrl-p,ctrl-q", "x", "ctrl-@,a". The bytes that are typed. Throws
/// Error(usage).
std::string parse_detach_keys(const std::string& text);

/// Looks at what is typed and at what is answered. Ctrl-C goes to the container as any key does;
/// the third in a row that it does not answer by any output is taken for its end, and so are the
/// detach keys, since nothing keeps a container that nobody is attached to. Thread-safe.
class TerminalKeys {
 public:
  enum class Ending { none, interrupted, detached };

  explicit TerminalKeys(std::string detach_keys) : keys_(std::move(detach_keys)) {}

  /// What of `typed` is for the container. The beginning of the detach keys waits for what follows.
  std::string take(std::string_view typed);
  /// The container wrote this.
  void answered(std::string_view output);
  Ending ending() const;

 private:
  void take_key(char key, std::string& out);

  const std::string keys_;
  mutable std::mutex mutex_;  // guards what follows
  size_t matched_ = 0;        // of keys_
  int interrupts_ = 0;        // in a row, unanswered
  Ending ending_ = Ending::none;
};

}  // namespace lade
