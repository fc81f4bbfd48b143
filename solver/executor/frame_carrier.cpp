#include "solver/executor/frame_carrier.hpp"

#include <array>
#include <cerrno>
#include <optional>

#include <poll.h>
#include <unistd.h>

#include "solver/executor/network_link.hpp"

namespace lade::sandbox {
namespace {

/// Carries frames one way. A full receiver is waited for with the frame in hand.
class Carrier {
 public:
  /// The ends say what it means that they are gone.
  Carrier(int from, CarryEnd from_end, int to, CarryEnd to_end)
      : from_(from), to_(to), from_end_(from_end), to_end_(to_end) {}

  bool is_blocked() const { return size_ > 0; }

  std::optional<CarryEnd> carry() {
    constexpr int burst = 64;  // then the other way gets its turn
    for (int i = 0; i < burst; ++i) {
      if (size_ == 0) {
        const ssize_t got = ::read(from_, frame_.data(), frame_.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
        if (got <= 0) return from_end_;
        size_ = static_cast<size_t>(got);
      }
      if (::write(to_, frame_.data(), size_) < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return std::nullopt;
        if (errno == EPIPE || errno == ECONNRESET) return to_end_;
        // A frame that the interface does not take is lost, as on any wire.
      }
      size_ = 0;
    }
    return std::nullopt;
  }

 private:
  int from_;
  int to_;
  CarryEnd from_end_;
  CarryEnd to_end_;
  size_t size_ = 0;  // of the frame in hand
  std::array<char, network_frame_bytes> frame_;
};

short wanted(const Carrier& in, const Carrier& out) {
  return static_cast<short>((in.is_blocked() ? 0 : POLLIN) | (out.is_blocked() ? POLLOUT : 0));
}

}  // namespace

CarryEnd carry_frames(int tap, int socket, int exit_fd) {
  static Carrier out(tap, CarryEnd::interface, socket, CarryEnd::helper);
  static Carrier in(socket, CarryEnd::helper, tap, CarryEnd::interface);
  for (;;) {
    pollfd fds[] = {{tap, wanted(out, in), 0}, {socket, wanted(in, out), 0}, {exit_fd, POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0) continue;  // EINTR
    if (fds[2].revents != 0) return CarryEnd::told;
    for (Carrier* way : {&out, &in}) {
      if (const auto end = way->carry()) return *end;
    }
  }
}

}  // namespace lade::sandbox
