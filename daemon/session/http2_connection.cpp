#include "daemon/session/http2_connection.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

namespace lade {
namespace {

constexpr size_t kMaxMessage = 16u << 20;  // as BuildKit's own limit
constexpr size_t kPrefix = 5;              // of a message: whether it is compressed, its size
/// What may come before it is read: one listing of some ten thousand files.
constexpr int32_t kStreamWindow = 2 << 20;
constexpr int32_t kConnectionWindow = 1 << 30;
constexpr size_t kMaxUnsent = 256u << 10;
constexpr size_t kMaxWrite = 64u << 10;
constexpr size_t kMaxStatusMessage = 64u << 10;
constexpr size_t kSmall = 4u << 10;
constexpr int kSmallInARow = 16;
constexpr auto kMoment = std::chrono::microseconds(300);

uint32_t message_size(const char* prefix) {
  const auto byte = [&](size_t i) { return uint32_t{static_cast<unsigned char>(prefix[i])}; };
  return byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
}

std::string with_prefix(std::string_view message) {
  std::string out;
  out.reserve(kPrefix + message.size());
  const auto size = static_cast<uint32_t>(message.size());
  out += '\0';
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(size >> shift);
  out += message;
  return out;
}

/// grpc-message is percent-encoded.
std::string decode_percent(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? digit(text[i + 1]) : -1;
    const int low = escape ? digit(text[i + 2]) : -1;
    if (high >= 0 && low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// gRPC's meaning of a stream that was reset.
CallStatus status_of_reset(uint32_t code) {
  const char* name = nghttp2_http2_strerror(code);
  const std::string what = fmt::format("the call was reset: {}", name);
  if (code == NGHTTP2_REFUSED_STREAM) return {CallCode::unavailable, what};
  if (code == NGHTTP2_CANCEL) return {CallCode::canceled, what};
  return {CallCode::internal, what};
}

CallStatus gone() {
  return {CallCode::unavailable, "the client is gone"};
}

}  // namespace

/// All of it is guarded by the connection's mutex.
struct GrpcCall::State {
  int32_t stream = -1;
  std::condition_variable changed;

  std::string in;          // received, not taken by the reader
  bool in_ended = false;   // no more will come
  std::string out;         // to be sent
  size_t out_at = 0;       // of out
  bool out_ended = false;  // no more will be written

  int http_status = 0;
  std::optional<int> grpc_status;
  std::string grpc_message;
  std::optional<CallStatus> status;  // set when the call has ended

  size_t unsent() const { return out.size() - out_at; }

  void end(CallStatus with) {
    if (!status) status = std::move(with);
    in_ended = true;
    changed.notify_all();
  }

  /// What the headers said, at the end of what the other side sends.
  CallStatus stated() const {
    if (grpc_status) return {static_cast<CallCode>(*grpc_status), decode_percent(grpc_message)};
    if (http_status == 404) return {CallCode::unimplemented, "HTTP status 404"};
    if (http_status != 200) return {CallCode::unknown, fmt::format("HTTP status {}", http_status)};
    return {CallCode::unknown, "the call ended without a status"};
  }
};

/// The connection's state: nghttp2's session, which is used under the mutex only.
class Http2Connection::Frames {
 public:
  using CallState = GrpcCall::State;

  explicit Frames(std::function<bool(std::string_view)> send) : send_(std::move(send)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option* options = nullptr;
    if (nghttp2_option_new(&options) != 0) throw std::bad_alloc();
    // Who reads slowly must not make others' data wait, nor fill the memory.
    nghttp2_option_set_no_auto_window_update(options, 1);
    const int made = nghttp2_session_client_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    if (made != 0) throw std::bad_alloc();
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
    };
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
    writer_ = std::thread([this] { write_all(); });
  }

  ~Frames() {
    close();
    nghttp2_session_del(session_);
  }

  bool receive(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    const auto taken = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    wake_writer();
    return taken == static_cast<ssize_t>(bytes.size());
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      end_all();
    }
    wanted_.notify_all();
    if (writer_.joinable()) writer_.join();
  }

  std::shared_ptr<CallState> start(const std::string& method, const CallMetadata& metadata) {
    std::vector<std::pair<std::string, std::string>> headers = {
        {":method", "POST"},
        {":scheme", "http"},
        {":path", method},
        {":authority", "session"},
        {"te", "trailers"},
        {"content-type", "application/grpc"},
        {"user-agent", "lade/" LADE_VERSION},
    };
    headers.insert(headers.end(), metadata.begin(), metadata.end());
    std::vector<nghttp2_nv> fields;
    for (auto& [name, value] : headers) {
      fields.push_back({reinterpret_cast<uint8_t*>(name.data()),
                        reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NONE});
    }
    auto state = std::make_shared<CallState>();
    nghttp2_data_provider body{};
    body.read_callback = read_body;
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      state->stream = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), &body,
                                             state.get());
    }
    if (state->stream < 0) {
      state->end(gone());
    } else {
      calls_[state->stream] = state;
      wake_writer();
    }
    return state;
  }

  /// Waits for bytes, and appends them. False: there are none more.
  bool take(CallState& call, std::string& to) {
    std::unique_lock lock(mutex_);
    call.changed.wait(lock, [&] { return !call.in.empty() || call.in_ended; });
    if (call.in.empty()) return false;
    const size_t size = call.in.size();
    if (to.empty()) {
      to.swap(call.in);
    } else {
      to += call.in;
    }
    call.in.clear();
    if (!closed_ && !call.status) {
      nghttp2_session_consume_stream(session_, call.stream, size);
      wake_writer();
    }
    return true;
  }

  bool write(CallState& call, std::string_view bytes) {
    std::unique_lock lock(mutex_);
    call.changed.wait(lock, [&] { return call.unsent() < kMaxUnsent || call.status; });
    if (call.status || call.out_ended) return false;
    call.out.erase(0, std::exchange(call.out_at, 0));
    call.out += bytes;
    resume(call);
    return true;
  }

  void writes_done(CallState& call) {
    const std::lock_guard lock(mutex_);
    if (call.status || call.out_ended) return;
    call.out_ended = true;
    resume(call);
  }

  void cancel(CallState& call, CallStatus why) {
    const std::lock_guard lock(mutex_);
    if (call.status) return;
    call.end(std::move(why));
    if (closed_) return;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call.stream, NGHTTP2_CANCEL);
    wake_writer();
  }

  CallStatus wait_status(CallState& call) {
    std::unique_lock lock(mutex_);
    while (!call.status) {
      if (!call.in.empty()) {
        nghttp2_session_consume_stream(session_, call.stream, call.in.size());
        call.in.clear();
        wake_writer();
      }
      call.changed.wait(lock, [&] { return call.status || !call.in.empty(); });
    }
    return *call.status;
  }

 private:
  // -- with the mutex

  void end_all() {
    closed_ = true;
    for (const auto& [stream, call] : calls_) call->end(gone());
    calls_.clear();
  }

  void wake_writer() {
    if (nghttp2_session_want_write(session_) != 0) wanted_.notify_one();
  }

  void resume(CallState& call) {
    nghttp2_session_resume_data(session_, call.stream);
    wake_writer();
  }

  // -- the writer

  void write_all() {
    std::string buffer;
    std::unique_lock lock(mutex_);
    for (;;) {
      wanted_.wait(lock, [&] { return closed_ || nghttp2_session_want_write(session_) != 0; });
      if (closed_) return;
      buffer.clear();
      while (buffer.size() < kMaxWrite) {
        const uint8_t* bytes = nullptr;
        const auto size = nghttp2_session_mem_send(session_, &bytes);
        if (size <= 0) break;
        buffer.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
      }
      if (buffer.empty()) continue;
      lock.unlock();
      const bool sent = send_(buffer);
      lock.lock();
      // nghttp2 has said good-bye to a side that breaks the protocol, or that is going away.
      const bool over =
          nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
      if (!sent || over) {
        end_all();
        return;
      }
    }
  }

  // -- nghttp2's callbacks, called with the mutex

  static CallState* state_of(nghttp2_session* session, int32_t stream) {
    return static_cast<CallState*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t, void*) {
    auto* call = state_of(session, frame->hd.stream_id);
    if (!call) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status") {
      call->http_status = std::atoi(text.c_str());
    } else if (key == "grpc-status") {
      call->grpc_status = std::atoi(text.c_str());
    } else if (key == "grpc-message") {
      call->grpc_message = text.substr(0, kMaxStatusMessage);
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    auto* call = state_of(session, frame->hd.stream_id);
    if (!call) return 0;
    call->end(call->stated());
    // What is still to be said nobody listens to.
    if (nghttp2_session_get_stream_local_close(session, frame->hd.stream_id) == 0) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static int on_data(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data,
                     size_t size, void*) {
    // The connection's window is there for all; a stream's own opens as it is read.
    nghttp2_session_consume_connection(session, size);
    auto* call = state_of(session, stream);
    if (!call || call->status) return 0;
    const bool waits = call->in.empty();
    call->in.append(reinterpret_cast<const char*>(data), size);
    if (waits) call->changed.notify_all();
    return 0;
  }

  static int on_close(nghttp2_session* session, int32_t stream, uint32_t code, void* self) {
    auto* call = state_of(session, stream);
    if (!call) return 0;
    call->end(status_of_reset(code));
    static_cast<Frames*>(self)->calls_.erase(stream);
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t size,
                           uint32_t* flags, nghttp2_data_source*, void*) {
    auto* call = state_of(session, stream);
    if (!call) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const size_t count = std::min(size, call->unsent());
    std::memcpy(buffer, call->out.data() + call->out_at, count);
    call->out_at += count;
    if (call->unsent() < kMaxUnsent) call->changed.notify_all();
    if (call->unsent() == 0 && call->out_ended) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (count == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(count);
  }

  const std::function<bool(std::string_view)> send_;
  std::mutex mutex_;
  std::condition_variable wanted_;  // there is something to write, or no more to be written
  nghttp2_session* session_ = nullptr;
  bool closed_ = false;
  std::map<int32_t, std::shared_ptr<CallState>> calls_;  // whose streams nghttp2 knows
  std::thread writer_;
};

Http2Connection::Http2Connection(std::function<bool(std::string_view)> send)
    : frames_(std::make_unique<Frames>(std::move(send))) {}

Http2Connection::~Http2Connection() = default;

std::shared_ptr<Http2Connection> Http2Connection::make(std::function<bool(std::string_view)> send) {
  return std::shared_ptr<Http2Connection>(new Http2Connection(std::move(send)));
}

bool Http2Connection::receive(std::string_view bytes) {
  return frames_->receive(bytes);
}

void Http2Connection::close() {
  frames_->close();
}

std::unique_ptr<GrpcCall> Http2Connection::call(const std::string& method,
                                                const CallMetadata& metadata) {
  return std::make_unique<GrpcCall>(shared_from_this(), frames_->start(method, metadata));
}

GrpcCall::GrpcCall(std::shared_ptr<Http2Connection> connection, std::shared_ptr<State> state)
    : connection_(std::move(connection)), state_(std::move(state)) {}

GrpcCall::~GrpcCall() {
  cancel();
}

bool GrpcCall::take_message(std::string& message) {
  const size_t left = read_.size() - read_at_;
  if (left < kPrefix) return false;
  const char* prefix = read_.data() + read_at_;
  const uint32_t size = message_size(prefix);
  if (*prefix != '\0' || size > kMaxMessage) {
    const char* why = *prefix != '\0' ? "a message is compressed" : "a message is too large";
    connection_->frames_->cancel(*state_, {CallCode::resource_exhausted, why});
    read_.clear();
    read_at_ = 0;
    return false;
  }
  if (left - kPrefix < size) return false;
  message.assign(read_, read_at_ + kPrefix, size);
  read_at_ += kPrefix + size;
  return true;
}

bool GrpcCall::read(std::string& message) {
  for (;;) {
    if (take_message(message)) return true;
    read_.erase(0, read_at_);
    read_at_ = 0;
    // Woken up for each of thousands of small messages, a reader takes the time that who sends them
    // needs. Not listening for a moment it gets many at once.
    if (small_ >= kSmallInARow) std::this_thread::sleep_for(kMoment);
    const size_t before = read_.size();
    if (!connection_->frames_->take(*state_, read_)) return false;
    const bool small = read_.size() - before < kSmall;
    small_ = small ? std::min(small_ + 1, kSmallInARow) : 0;
  }
}

bool GrpcCall::write(std::string_view message) {
  return connection_->frames_->write(*state_, with_prefix(message));
}

void GrpcCall::writes_done() {
  connection_->frames_->writes_done(*state_);
}

void GrpcCall::cancel() {
  connection_->frames_->cancel(*state_, {CallCode::canceled, "the call was canceled"});
}

CallStatus GrpcCall::finish() {
  return connection_->frames_->wait_status(*state_);
}

}  // namespace lade
