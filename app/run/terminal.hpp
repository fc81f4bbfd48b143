// The user's terminal while a container has one: raw, and its size followed.
#pragma once

#include <termios.h>

namespace lade {

/// While it lives, the terminal `fd` passes every key on as it is typed. Restores what was before.
class RawTerminal {
 public:
  /// Throws Error if `fd` is no terminal.
  explicit RawTerminal(int fd);
  ~RawTerminal() { restore(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  /// Async-signal-safe; may be called more than once.
  void restore() const;

 private:
  int fd_;
  termios before_{};
};

/// Gives `to` the size of the terminal `from`; does nothing if that is none.
void copy_window_size(int from, int to);

}  // namespace lade
