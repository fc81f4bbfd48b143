#include "app/run/terminal.hpp"

#include <sys/ioctl.h>

#include "base/error.hpp"

namespace lade {

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  if (::tcgetattr(fd, &before_) != 0) throw_errno("could not ask the terminal");
  termios raw = before_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd, TCSANOW, &raw) != 0) throw_errno("could not set the terminal up");
}

void RawTerminal::restore() const {
  ::tcsetattr(fd_, TCSANOW, &before_);
}

void copy_window_size(int from, int to) {
  winsize size{};
  if (::ioctl(from, TIOCGWINSZ, &size) == 0) ::ioctl(to, TIOCSWINSZ, &size);
}

}  // namespace lade
