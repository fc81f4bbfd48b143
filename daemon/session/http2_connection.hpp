// gRPC calls over HTTP/2 (RFC 9113; gRPC's "PROTOCOL-HTTP2") where this side is the client and the
// connection is any two streams of bytes: a session runs inside of a call of its client.
//
// nghttp2 has the frames. Whoever reads the bytes that come gives them to receive(); a thread of
// the connection writes the others. The gRPC library is not used for this, because a client sends a
// frame for each file of a context, and each one took the library through three threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lade {

/// gRPC's status codes, as far as they are told apart here.
enum class CallCode : int {
  ok = 0,
  canceled = 1,
  unknown = 2,
  not_found = 5,
  already_exists = 6,
  resource_exhausted = 8,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
};

struct CallStatus {
  CallCode code = CallCode::ok;
  std::string message;

  bool ok() const { return code == CallCode::ok; }
};

using CallMetadata = std::vector<std::pair<std::string, std::string>>;

class Http2Connection;

/// One call. read() and write() may be called by one thread each, cancel() by any; all of them
/// return once the call or its connection has ended.
class GrpcCall {
 public:
  struct State;

  GrpcCall(std::shared_ptr<Http2Connection> connection, std::shared_ptr<State> state);
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;
  /// Cancels what has not ended.
  ~GrpcCall();

  /// Waits for the next message. False: there is none more, finish() says why.
  bool read(std::string& message);
  /// Waits while much is on its way already. False: the call has ended.
  bool write(std::string_view message);
  void writes_done();
  void cancel();
  /// Waits for the other side's status. What messages were not read are dropped.
  CallStatus finish();

 private:
  bool take_message(std::string& message);

  std::shared_ptr<Http2Connection> connection_;
  std::shared_ptr<State> state_;
  std::string read_;    // taken from the state, not given out yet
  size_t read_at_ = 0;  // of read_
  int small_ = 0;       // how often in a row little was there to be taken
};

class Http2Connection : public std::enable_shared_from_this<Http2Connection> {
 public:
  /// `send` writes to the other side, from one thread; false: it is gone. It is not called after
  /// close().
  static std::shared_ptr<Http2Connection> make(std::function<bool(std::string_view)> send);
  Http2Connection(const Http2Connection&) = delete;
  Http2Connection& operator=(const Http2Connection&) = delete;
  ~Http2Connection();

  /// What the other side sent. False: the connection has ended. One that breaks the protocol ends.
  bool receive(std::string_view bytes);
  /// Ends all calls. Must be called before the connection is let go.
  void close();

  /// Starts a call of "/package.Service/Method". Metadata must have lower-case names.
  std::unique_ptr<GrpcCall> call(const std::string& method, const CallMetadata& metadata);

 private:
  friend class GrpcCall;
  class Frames;

  explicit Http2Connection(std::function<bool(std::string_view)> send);

  std::unique_ptr<Frames> frames_;
};

}  // namespace lade
