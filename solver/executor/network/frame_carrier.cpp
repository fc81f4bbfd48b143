#include "solver/executor/network/frame_carrier.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <span>

#include <poll.h>
#include <unistd.h>

#include "solver/executor/network/frame_filter.hpp"
#include "solver/executor/network/host_addresses.hpp"
#include "solver/executor/network/network_link.hpp"

namespace lade::sandbox {
namespace {

/// What steps may not reach, as long as this machine's addresses stay as they are.
class Denied {
 public:
  explicit Denied(const NetworkReach& reach) : reach_(reach) { put_together(); }

  int fd() const { return host_.fd(); }
  void refresh() {
    if (host_.refresh()) put_together();
  }
  const AddressSet& addresses() const { return addresses_; }

 private:
  void put_together() { addresses_ = AddressSet(denied_addresses(reach_, host_.ranges())); }

  const NetworkReach& reach_;
  HostAddresses host_;
  AddressSet addresses_;
};

/// Carries frames one way. A full receiver is waited for with the frame in hand.
class Carrier {
 public:
  /// The ends say what it means that they are gone. `denied` is null where everything passes.
  Carrier(int from, CarryEnd from_end, int to, CarryEnd to_end, const Denied* denied)
      : from_(from), to_(to), from_end_(from_end), to_end_(to_end), denied_(denied) {}

  bool is_blocked() const { return size_ > 0; }

  std::optional<CarryEnd> carry() {
    constexpr int burst = 64;  // then the other way gets its turn
    for (int i = 0; i < burst; ++i) {
      if (size_ == 0) {
        const ssize_t got = ::read(from_, frame_.data(), frame_.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
        if (got <= 0) return from_end_;
        size_ = static_cast<size_t>(got);
        if (!passes()) size_ = 0;
        if (size_ == 0) continue;
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
  bool passes() {
    if (denied_ == nullptr) return true;
    const Frame frame(frame_.data(), size_);
    const Verdict verdict = judge_frame(frame, denied_->addresses());
    if (verdict == Verdict::refuse) {
      const auto answer = refusal_of(frame);
      // If there is no room the step waits for its own timeout.
      [[maybe_unused]] const auto written = ::write(from_, answer.data(), answer.size());
    }
    return verdict == Verdict::pass;
  }

  int from_;
  int to_;
  CarryEnd from_end_;
  CarryEnd to_end_;
  const Denied* denied_;
  size_t size_ = 0;  // of the frame in hand
  std::array<uint8_t, network_frame_bytes> frame_;
};

short wanted(const Carrier& in, const Carrier& out) {
  return static_cast<short>((in.is_blocked() ? 0 : POLLIN) | (out.is_blocked() ? POLLOUT : 0));
}

}  // namespace

CarryEnd carry_frames(int tap, int socket, int exit_fd, const NetworkReach& reach) {
  Denied denied(reach);
  static Carrier out(tap, CarryEnd::interface, socket, CarryEnd::helper, &denied);
  static Carrier in(socket, CarryEnd::helper, tap, CarryEnd::interface, nullptr);
  for (;;) {
    pollfd fds[] = {{tap, wanted(out, in), 0},
                    {socket, wanted(in, out), 0},
                    {exit_fd, POLLIN, 0},
                    {denied.fd(), POLLIN, 0}};
    if (::poll(fds, 4, -1) < 0) continue;  // EINTR
    if (fds[2].revents != 0) return CarryEnd::told;
    if (fds[3].revents != 0) denied.refresh();
    for (Carrier* way : {&out, &in}) {
      if (const auto end = way->carry()) return *end;
    }
  }
}

}  // namespace lade::sandbox
