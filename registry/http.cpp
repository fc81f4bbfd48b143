#include "registry/http.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "base/text.hpp"
#include "registry/curl.hpp"
#include "snapshotter/content/json_reader.hpp"

namespace lade {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kMaxRedirects = 10;
constexpr size_t kMaxHeaderBytes = 256 * 1024;
constexpr size_t kMaxBuffer = 512 * 1024;
constexpr size_t kMaxIdleHandles = 16;
constexpr uint64_t kMaxErrorBytes = 64 * 1024;
constexpr int64_t kMinBytesPerSecond = 100;
constexpr int kPollMilliseconds = 200;

/// Handles between requests; their open connections are worth keeping. Shared with the responses
/// that bring theirs back. Thread-safe.
class HandlePool {
 public:
  std::unique_ptr<CurlHandle> take() {
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

  void give_back(std::unique_ptr<CurlHandle> handle) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kMaxIdleHandles) idle_.push_back(std::move(handle));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<CurlHandle>> idle_;
};

std::string host_of(std::string_view url) {
  const std::string origin = url_origin(url);
  return origin.empty() ? quoted(url) : origin.substr(origin.find("://") + 3);
}

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

/// One request under way: the callbacks of libcurl on one side, ByteSource on the other.
class Transfer : public HttpResponse {
 public:
  Transfer(std::shared_ptr<HandlePool> pool, const HttpOptions& options)
      : pool_(std::move(pool)), options_(options), handle_(pool_->take()) {
    handle_->reset();
  }

  ~Transfer() override {
    if (ended_) pool_->give_back(std::move(handle_));
  }

  /// Sends `request` to `url` and waits for the head of the answer.
  void start(const HttpRequest& request, const std::string& url, bool authorize);

  int status() const override { return status_; }
  std::string header(std::string_view name) const override {
    const auto field = headers_.find(name);
    return field == headers_.end() ? "" : field->second;
  }
  size_t read(char* buffer, size_t size) override;

  /// Where a redirect leads, as an absolute URL; "" if this is none.
  std::string redirect_url() const { return handle_->redirect_url(); }
  std::chrono::seconds retry_after() const {
    return std::chrono::seconds(std::max(0L, handle_->retry_after()));
  }

 private:
  static size_t on_header(char* data, size_t unit, size_t count, void* self);
  static size_t on_body(char* data, size_t unit, size_t count, void* self);
  bool take_header(std::string_view line);
  void pump();
  void check_speed(Clock::duration waited);
  [[noreturn]] void fail() const;

  std::shared_ptr<HandlePool> pool_;
  HttpOptions options_;
  std::unique_ptr<CurlHandle> handle_;
  std::string host_;
  std::function<bool()> canceled_;
  int status_ = 0;
  std::map<std::string, std::string, std::less<>> headers_;
  size_t header_bytes_ = 0;
  bool head_complete_ = false;
  bool ended_ = false;
  bool paused_ = false;
  std::string buffer_;
  size_t offset_ = 0;
  /// The present window of the speed check.
  Clock::duration waited_{};
  uint64_t received_ = 0;
};

void Transfer::start(const HttpRequest& request, const std::string& url, bool authorize) {
  host_ = host_of(url);
  canceled_ = request.canceled;
  const bool loopback = is_loopback(host_);
  CurlHandle& handle = *handle_;
  handle.set(CURLOPT_URL, url.c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, "http,https");
  // One transfer per connection: HTTP/2 would only add its flow control.
  handle.set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  handle.set(CURLOPT_NOBODY, request.head ? 1L : 0L);
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  handle.set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  handle.set(CURLOPT_USERAGENT, "lade/" LADE_VERSION);
  if (loopback) {
    handle.set(CURLOPT_PROXY, "");
    handle.set(CURLOPT_SSL_VERIFYPEER, 0L);
    handle.set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  for (const auto& line : request.headers) handle.add_header(line);
  if (authorize) handle.add_header("Authorization: " + request.authorization);
  handle.set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  handle.set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  handle.set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  handle.set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  handle.start();
  while (!head_complete_ && !ended_) pump();
  if (!head_complete_) fail();
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
  const uint64_t before = received_;
  if (paused_) {
    // May call on_body() at once with what curl kept.
    paused_ = false;
    handle_->resume();
  }
  ended_ = handle_->perform();
  if (ended_ || received_ != before) return;
  const auto start = Clock::now();
  handle_->wait(kPollMilliseconds);
  check_speed(Clock::now() - start);
}

/// Counts only the time that lade waited: a reader that is slow itself is no fault of the server.
void Transfer::check_speed(Clock::duration waited) {
  waited_ += waited;
  if (waited_ < options_.stall_timeout) return;
  const auto seconds = std::chrono::duration_cast<milliseconds>(waited_).count() / 1000.0;
  if (static_cast<double>(received_) < kMinBytesPerSecond * seconds) {
    throw TransientError(
        fmt::format("{} sent only {} bytes in {:.1f} s", host_, received_, seconds));
  }
  waited_ = {};
  received_ = 0;
}

void Transfer::fail() const {
  const std::string message = fmt::format("could not reach {}: {}", host_, handle_->failure());
  if (is_transient(handle_->result())) throw TransientError(message);
  throw Error(message, ErrorKind::unavailable);
}

size_t Transfer::on_header(char* data, size_t unit, size_t count, void* self) {
  // Any other number than the whole ends the transfer with CURLE_WRITE_ERROR.
  return static_cast<Transfer*>(self)->take_header({data, unit * count}) ? unit * count : 0;
}

bool Transfer::take_header(std::string_view line) {
  header_bytes_ += line.size();
  received_ += line.size();
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
  transfer.received_ += unit * count;
  return unit * count;
}

class CurlHttpClient : public HttpClient {
 public:
  explicit CurlHttpClient(HttpOptions options) : options_(options) {}

  std::unique_ptr<HttpResponse> send(const HttpRequest& request) override;
  void retry(const std::function<void()>& body) override;
  const HttpOptions& options() const override { return options_; }

 private:
  milliseconds delay(int attempt, std::chrono::seconds retry_after);

  HttpOptions options_;
  std::shared_ptr<HandlePool> pool_ = std::make_shared<HandlePool>();
};

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::unique_ptr<HttpResponse> CurlHttpClient::send(const HttpRequest& request) {
  std::string url = request.url;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    auto transfer = std::make_unique<Transfer>(pool_, options_);
    const bool same_origin = url_origin(url) == url_origin(request.url);
    transfer->start(request, url, same_origin && !request.authorization.empty());
    const int status = transfer->status();
    if (status == 429 || status >= 500) {
      const std::string text = error_text(*transfer);
      throw TransientError(
          fmt::format("{} answered {}{}{}", host_of(url), status, text.empty() ? "" : ": ", text),
          transfer->retry_after());
    }
    if (!is_redirect(status)) return transfer;
    const std::string target = transfer->redirect_url();
    if (target.empty()) {
      throw Error(fmt::format("{} answered {} without saying where to", host_of(url), status));
    }
    if (url.starts_with("https:") && !target.starts_with("https:")) {
      throw Error(fmt::format("{} redirects from https to {}, which is not followed", host_of(url),
                              quoted(url_origin(target))));
    }
    // What is left of the body is short; reading it keeps the connection.
    error_text(*transfer);
    url = target;
  }
  throw Error(fmt::format("{} redirects more than {} times", host_of(request.url), kMaxRedirects));
}

milliseconds CurlHttpClient::delay(int attempt, std::chrono::seconds retry_after) {
  thread_local std::minstd_rand random(std::random_device{}());
  const auto mean = options_.retry_delay * (1 << std::min(attempt - 1, 10));
  std::uniform_int_distribution<int64_t> jitter(mean.count() / 2, mean.count() * 3 / 2);
  const milliseconds chosen = std::max<milliseconds>(milliseconds(jitter(random)), retry_after);
  return std::min(chosen, options_.max_retry_delay);
}

void CurlHttpClient::retry(const std::function<void()>& body) {
  for (int attempt = 1;; ++attempt) {
    std::chrono::seconds retry_after{};
    try {
      return body();
    } catch (const TransientError& error) {
      if (attempt >= options_.attempts) throw;
      retry_after = error.retry_after();
    }
    std::this_thread::sleep_for(delay(attempt, retry_after));
  }
}

}  // namespace

std::unique_ptr<HttpClient> HttpClient::create(HttpOptions options) {
  return std::make_unique<CurlHttpClient>(options);
}

std::optional<uint64_t> HttpResponse::length() const {
  const std::string text = header("content-length");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string error_text(HttpResponse& response) {
  std::string out;
  try {
    const std::string body = read_all(response, kMaxErrorBytes, "the error's text");
    const JsonDocument document(body, kMaxErrorBytes, "the error's text");
    document.root()["errors"].each([&](const JsonValue& error) {
      const std::string message = error["message"].string_or_empty();
      const std::string& text = message.empty() ? error["code"].string_or_empty() : message;
      if (!text.empty()) out += (out.empty() ? "" : ", ") + text;
    });
  } catch (const Error&) {
    // A proxy's HTML, or nothing: the status alone has to do.
  }
  constexpr size_t kLongEnough = 300;
  if (out.empty()) return out;
  return quoted(std::string_view(out).substr(0, kLongEnough));
}

}  // namespace lade
