// One HTTP request under way: the callbacks of libcurl on one side, ByteSource on the other.
#pragma once

#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "registry/net/curl.hpp"
#include "registry/net/http_message.hpp"

namespace lade {

/// Handles between requests; their open connections are worth keeping. Shared with the responses
/// that bring theirs back. Thread-safe.
class HandlePool {
 public:
  std::unique_ptr<CurlHandle> take();
  void give_back(std::unique_ptr<CurlHandle> handle);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<CurlHandle>> idle_;
};

/// For one thread at a time.
class Transfer : public HttpResponse {
 public:
  Transfer(std::shared_ptr<HandlePool> pool, const HttpOptions& options);
  ~Transfer() override;

  /// Sends `request` to `url` and waits for the head of the answer. `own_origin` says that `url` is
  /// of the origin that credentials are for. Throws as HttpClient::send() does, and what the body's
  /// source throws.
  void start(const HttpRequest& request, const std::string& url, bool own_origin);
  /// How long was waited, of what the whole request may take. To be said of those before it, too.
  std::chrono::steady_clock::duration waited() const { return waited_in_all_; }
  void add_waited(std::chrono::steady_clock::duration before) { waited_in_all_ += before; }

  int status() const override { return status_; }
  std::string header(std::string_view name) const override;
  const std::string& origin() const override { return origin_; }
  size_t read(char* buffer, size_t size) override;

  /// Where a redirect leads, as an absolute URL; "" if this is none.
  std::string redirect_url() const { return handle_->redirect_url(); }
  std::chrono::seconds retry_after() const;

 private:
  using Clock = std::chrono::steady_clock;

  static size_t on_header(char* data, size_t unit, size_t count, void* self);
  static size_t on_body(char* data, size_t unit, size_t count, void* self);
  static size_t on_send(char* buffer, size_t unit, size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static curl_socket_t on_connect(void* self, curlsocktype purpose, struct curl_sockaddr* address);
  void set_method(const HttpRequest& request);
  void set_tls(const TlsOptions& tls, bool own_origin);
  bool take_header(std::string_view line);
  size_t give_body(char* buffer, size_t size);
  void pump();
  void check_whole(Clock::duration waited);
  void check_speed(Clock::duration waited);
  [[noreturn]] void fail();

  std::shared_ptr<HandlePool> pool_;
  HttpOptions options_;
  std::unique_ptr<CurlHandle> handle_;
  std::string host_;
  std::string origin_;
  std::function<bool()> canceled_;
  bool large_ = false;
  std::string refused_;  // the last address that the guard refused
  // What is sent.
  HttpBody body_;
  std::unique_ptr<ByteSource> body_source_;
  uint64_t sent_ = 0;
  std::exception_ptr body_failure_;
  // What comes back.
  int status_ = 0;
  std::map<std::string, std::string, std::less<>> headers_;
  size_t header_bytes_ = 0;
  bool head_complete_ = false;
  bool ended_ = false;
  bool paused_ = false;
  std::string buffer_;
  size_t offset_ = 0;
  // The present window of the speed check.
  Clock::duration waited_{};
  uint64_t moved_ = 0;
  Clock::duration waited_in_all_{};
};

/// "example.com:5000" of a URL, for messages.
std::string host_of(std::string_view url);

}  // namespace lade
