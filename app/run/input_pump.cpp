#include "app/run/input_pump.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.hpp"

namespace lade {

InputPump::InputPump(int from, UniqueFd to)
    : from_(from), to_(std::move(to)), stop_(::eventfd(0, EFD_CLOEXEC)) {
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

void InputPump::run() {
  std::array<char, 64 << 10> buffer;
  while (wait(from_, POLLIN)) {
    const ssize_t size = ::read(from_, buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) break;
    for (ssize_t done = 0; done < size;) {
      if (!wait(to_.get(), POLLOUT)) return;
      const ssize_t count =
          ::write(to_.get(), buffer.data() + done, static_cast<size_t>(size - done));
      if (count < 0 && errno != EINTR && errno != EAGAIN) return to_.reset();
      if (count > 0) done += count;
    }
  }
  to_.reset();
}

}  // namespace lade
