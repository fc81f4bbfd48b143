#include "app/run/input_pump.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade {

InputPump::InputPump(int from, UniqueFd to, Filter filter)
    : from_(from),
      to_(std::move(to)),
      filter_(std::move(filter)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) throw_errno("could not pass standard input on");
  ::fcntl(to_.get(), F_SETFL, ::fcntl(to_.get(), F_GETFL) | O_NONBLOCK);
  thread_ = std::thread([this] { run(); });
}

InputPump::~InputPump() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

/// False when it is time to stop.
bool InputPump::wait(int fd, short events) const {
  for (;;) {
    pollfd fds[2] = {{stop_.get(), POLLIN, 0}, {fd, events, 0}};
    const int ready = ::poll(fds, 2, -1);
    if (ready < 0 && errno != EINTR) return false;
    if (fds[0].revents != 0) return false;
    if (ready > 0 && fds[1].revents != 0) return true;
  }
}

/// False if there is nobody to pass it on to any more, or it is time to stop.
bool InputPump::pass_on(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!wait(to_.get(), POLLOUT)) return false;
    const ssize_t count = ::write(to_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

void InputPump::run() {
  std::array<char, 64 << 10> buffer;
  while (wait(from_, POLLIN)) {
    const ssize_t size = ::read(from_, buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) break;
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    if (!pass_on(filter_ ? filter_(bytes) : std::string(bytes))) break;
  }
  to_.reset();
}

}  // namespace lade
