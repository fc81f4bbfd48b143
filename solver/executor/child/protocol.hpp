// What lade and its zygote say to each other, and the socket they say it through.
//
// The socket keeps message boundaries (SOCK_SEQPACKET). Small messages travel in it; a step's
// ExecSpec, whose environment and mounts may exceed any datagram, travels as a memory file beside
// the message, together with the write ends of the step's output pipes. Both ends are the same
// program, so the encoding needs no versions.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "base/wire.hpp"
#include "solver/executor/child/exec_spec.hpp"

namespace lade::sandbox {

/// First number of each message from lade to the zygote.
enum class Request : uint8_t {
  start,   ///< step id; descriptors: memory file with a StartRequest, stdout, stderr, and
           ///< those of the spec that are there
  signal,  ///< step id, number
  prefetch_network,
};

struct StartRequest {
  ExecSpec spec;
  std::string network_helper;  ///< slirp4netns's path; empty where the step needs none
  // The spec's descriptors travel beside it; decoded they are -1.
  bool has_input = false;
  bool has_terminal = false;
};

std::string encode(const StartRequest& request);
StartRequest decode_start_request(std::string_view bytes);

/// For a zygote that is executed rather than forked.
std::string encode(const ExecutorOptions& options);
ExecutorOptions decode_executor_options(std::string_view bytes);

/// The one message from the zygote to lade: a step is over.
struct ExitReport {
  uint64_t id = 0;
  ExecResult result;
};

std::string encode(const ExitReport& report);
ExitReport decode_exit_report(std::string_view bytes);

/// Exit code of a step for which no sandbox could be made, as `docker run` has it.
inline constexpr int sandbox_failed = 125;

/// Why a command never ran, as the sandbox's child writes it up its failure pipe.
struct SetupFailure {
  int exit_code = 0;
  std::string message;
};

std::string encode(const SetupFailure& failure);
SetupFailure decode_setup_failure(std::string_view bytes);

/// Bytes in a memory file, readable from offset 0. Throws Error.
UniqueFd memory_file(std::string_view bytes);
/// All of a memory file.
std::string read_memory_file(int fd);

/// One end of the socket. Not thread-safe.
class Channel {
 public:
  struct Packet {
    std::string bytes;
    std::vector<UniqueFd> fds;
  };
  enum class State { open, closed };

  struct Pair;
  static Pair create_pair();

  Channel() = default;
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }
  /// Gives up this process's descriptor; copies of it elsewhere keep the connection.
  void close() { socket_.reset(); }
  /// Ends the connection for both sides, whoever else still has a copy of the descriptor.
  void hang_up();

  /// Waits for room if it has to; negative descriptors are left out. Throws Error when the other
  /// end is gone.
  void send(std::string_view bytes, std::initializer_list<int> fds = {});
  /// False if it would have to wait. A missing other end is no error here: receive() reports it.
  bool try_send(std::string_view bytes);
  /// The next packet; nullopt when there is none now or ever (state() says which).
  std::optional<Packet> receive();
  State state() const { return state_; }

 private:
  UniqueFd socket_;
  State state_ = State::open;
};

struct Channel::Pair {
  Channel lade;
  Channel zygote;
};

}  // namespace lade::sandbox
