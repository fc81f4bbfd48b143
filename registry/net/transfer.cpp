#include "registry/net/transfer.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.hpp"
#include "registry/net/url.hpp"

namespace lade {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMaxHeaderBytes = 256 * 1024;
constexpr size_t kMaxBuffer = 512 * 1024;
constexpr size_t kMaxIdleHandles = 16;
constexpr int64_t kMinBytesPerSecond = 1024;
constexpr int kPollMilliseconds = 200;
constexpr long kUploadBuffer = 512 * 1024;

/// Failures of the connection that another attempt may not have. A refused connection or an unknown
/// name will most likely stay so, and whoever mistyped a host should not wait.
bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string host_of(std::string_view url) {
  const std::string origin = url_origin(url);
  return origin.empty() ? quoted(url) : origin.substr(origin.find("://") + 3);
}

std::unique_ptr<CurlHandle> HandlePool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  return std::make_unique<CurlHandle>();
}

void HandlePool::give_back(std::unique_ptr<CurlHandle> handle) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdleHandles) idle_.push_back(std::move(handle));
}

Transfer::Transfer(std::shared_ptr<HandlePool> pool, const HttpOptions& options)
    : pool_(std::move(pool)), options_(options), handle_(pool_->take()) {
  handle_->reset();
}

Transfer::~Transfer() {
  if (!ended_) return;
  // Forgets what libcurl borrows of this transfer.
  handle_->reset();
  pool_->give_back(std::move(handle_));
}

std::string Transfer::header(std::string_view name) const {
  const auto field = headers_.find(name);
  return field == headers_.end() ? "" : field->second;
}

std::chrono::seconds Transfer::retry_after() const {
  return std::chrono::seconds(std::max(0L, handle_->retry_after()));
}

void Transfer::start(const HttpRequest& request, const std::string& url, bool own_origin) {
  host_ = host_of(url);
  origin_ = url_origin(url);
  canceled_ = request.canceled;
  large_ = request.large;
  CurlHandle& handle = *handle_;
  handle.set(CURLOPT_URL, url.c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, "http,https");
  // One transfer per connection: HTTP/2 would only add its flow control.
  handle.set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  handle.set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  handle.set(CURLOPT_USERAGENT, "lade/" LADE_VERSION " (compatible; buildkit/v0.32)");
  if (options_.guard) {
    handle.set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_connect);
    handle.set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  }
  set_method(request);
  set_tls(request.tls ? *request.tls : TlsOptions{}, own_origin);
  for (const auto& line : request.headers) handle.add_header(line);
  if (own_origin && !request.authorization.empty()) {
    handle.add_header("Authorization: " + request.authorization);
  }
  handle.set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  handle.set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  handle.set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  handle.set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  handle.start();
  while (!head_complete_ && !ended_) pump();
  if (!head_complete_) fail();
}

void Transfer::set_method(const HttpRequest& request) {
  CurlHandle& handle = *handle_;
  if (request.method == HttpMethod::get) return;
  if (request.method == HttpMethod::head) return handle.set(CURLOPT_NOBODY, 1L);
  body_ = request.body;
  handle.set(CURLOPT_UPLOAD, 1L);
  handle.set(CURLOPT_CUSTOMREQUEST, method_name(request.method));
  handle.set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(body_.size));
  handle.set(CURLOPT_UPLOAD_BUFFERSIZE, kUploadBuffer);
  handle.set(CURLOPT_READFUNCTION, &Transfer::on_send);
  handle.set(CURLOPT_READDATA, static_cast<void*>(this));
  handle.set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
  handle.set(CURLOPT_SEEKDATA, static_cast<void*>(this));
}

void Transfer::set_tls(const TlsOptions& tls, bool own_origin) {
  CurlHandle& handle = *handle_;
  const bool loopback = is_loopback(host_);
  if (loopback) handle.set(CURLOPT_PROXY, "");
  if (!tls.verify.value_or(!loopback || !tls.ca.empty())) {
    handle.set(CURLOPT_SSL_VERIFYPEER, 0L);
    handle.set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!tls.ca.empty()) handle.trust(tls.ca);
  if (own_origin && !tls.certificate.empty()) {
    handle.set(CURLOPT_SSLCERT, tls.certificate.c_str());
    handle.set(CURLOPT_SSLKEY, tls.key.c_str());
  }
}

size_t Transfer::read(char* buffer, size_t size) {
  while (offset_ == buffer_.size() && !ended_) {
    buffer_.clear();
    offset_ = 0;
    pump();
  }
  const size_t count = std::min(size, buffer_.size() - offset_);
  std::memcpy(buffer, buffer_.data() + offset_, count);
  offset_ += count;
  if (count == 0 && size > 0 && handle_->result() != CURLE_OK) fail();
  return count;
}

/// Moves the transfer on, waiting a little if nothing came.
void Transfer::pump() {
  if (canceled_ && canceled_()) throw Error("canceled", ErrorKind::canceled);
  const uint64_t before = moved_;
  if (paused_) {
    // May call on_body() at once with what curl kept.
    paused_ = false;
    handle_->resume();
  }
  ended_ = handle_->perform();
  if (ended_ || moved_ != before) return;
  const auto start = Clock::now();
  handle_->wait(kPollMilliseconds);
  const auto waited = Clock::now() - start;
  check_whole(waited);
  check_speed(waited);
}

void Transfer::check_whole(Clock::duration waited) {
  waited_in_all_ += waited;
  if (large_ || waited_in_all_ < options_.document_timeout) return;
  const auto seconds = std::chrono::duration_cast<milliseconds>(waited_in_all_).count() / 1000.0;
  throw TransientError(fmt::format("{} took longer than {:.1f} s to answer", host_, seconds));
}

/// Counts only the time that lade waited: a reader that is slow itself is no fault of the server.
void Transfer::check_speed(Clock::duration waited) {
  waited_ += waited;
  const bool thinking = body_.size > 0 && sent_ == body_.size && !head_complete_;
  if (waited_ < (thinking ? std::max(options_.answer_timeout, options_.stall_timeout)
                          : options_.stall_timeout)) {
    return;
  }
  const auto seconds = std::chrono::duration_cast<milliseconds>(waited_).count() / 1000.0;
  if (static_cast<double>(moved_) < kMinBytesPerSecond * seconds) {
    const bool sending = sent_ < body_.size && !head_complete_;
    throw TransientError(fmt::format("{} {} only {} bytes in {:.1f} s", host_,
                                     sending ? "took" : "sent", moved_, seconds));
  }
  waited_ = {};
  moved_ = 0;
}

void Transfer::fail() {
  if (body_failure_) std::rethrow_exception(std::exchange(body_failure_, nullptr));
  if (handle_->result() == CURLE_COULDNT_CONNECT && !refused_.empty()) {
    Error error(fmt::format("{} is at {}, which builds may not connect to", host_, refused_));
    error.set_hint("whoever runs the daemon said so with --network-deny-sources");
    throw error;
  }
  const std::string message = fmt::format("could not reach {}: {}", host_, handle_->failure());
  if (is_transient(handle_->result())) throw TransientError(message);
  if (handle_->result() == CURLE_PEER_FAILED_VERIFICATION) throw UntrustedError(message);
  throw Error(message, ErrorKind::unavailable);
}

/// In place of curl's own socket(2): what the guard refuses gets no socket, and curl goes on to the
/// name's next address.
curl_socket_t Transfer::on_connect(void* self, curlsocktype, struct curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.options_.guard->refuses(&address->addr)) {
    transfer.refused_ = address_text(&address->addr);
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

size_t Transfer::on_header(char* data, size_t unit, size_t count, void* self) {
  // Any other number than the whole ends the transfer with CURLE_WRITE_ERROR.
  return static_cast<Transfer*>(self)->take_header({data, unit * count}) ? unit * count : 0;
}

bool Transfer::take_header(std::string_view line) {
  header_bytes_ += line.size();
  moved_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) return false;
  line = trim(line);
  if (line.starts_with("HTTP/")) {
    // A new head: what came before it was an interim answer (1xx).
    headers_.clear();
    const size_t space = std::min(line.find(' '), line.size() - 1) + 1;
    std::from_chars(line.data() + space, line.data() + line.size(), status_);
  } else if (line.empty()) {
    head_complete_ = status_ >= 200;
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    std::string& value = headers_[to_lower(line.substr(0, colon))];
    if (!value.empty()) value += ", ";
    value += trim(line.substr(colon + 1));
  }
  return true;
}

size_t Transfer::on_body(char* data, size_t unit, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.buffer_.size() - transfer.offset_ >= kMaxBuffer) {
    transfer.paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  transfer.buffer_.append(data, unit * count);
  transfer.moved_ += unit * count;
  return unit * count;
}

size_t Transfer::on_send(char* buffer, size_t unit, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    return transfer.give_body(buffer, unit * count);
  } catch (...) {
    // C code must not be unwound: fail() goes on with it.
    transfer.body_failure_ = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

size_t Transfer::give_body(char* buffer, size_t size) {
  size = std::min<uint64_t>(size, body_.size - sent_);
  if (size == 0) return 0;
  if (!body_source_) body_source_ = body_.open();
  const size_t count = body_source_->read(buffer, size);
  if (count == 0) {
    throw Error(
        fmt::format("there are only {} of {} bytes to be sent to {}", sent_, body_.size, host_),
        ErrorKind::corrupt);
  }
  sent_ += count;
  moved_ += count;
  return count;
}

/// libcurl sends the body again when a connection that it kept turned out to be closed.
int Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
  transfer.body_source_.reset();
  transfer.sent_ = 0;
  return CURL_SEEKFUNC_OK;
}

}  // namespace lade
