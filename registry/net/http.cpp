#include "registry/net/http.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "base/json/json_reader.hpp"
#include "base/text.hpp"
#include "registry/net/transfer.hpp"

namespace lade {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxRedirects = 10;
constexpr uint64_t kMaxErrorBytes = 64 * 1024;

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

/// Only 307 and 308 ask for the same request, with its body, elsewhere (RFC 9110, 15.4).
bool may_follow(HttpMethod method, int status) {
  return method == HttpMethod::get || method == HttpMethod::head || status == 307 || status == 308;
}

std::unique_ptr<HttpResponse> CurlHttpClient::send(const HttpRequest& request) {
  if (options_.offline) {
    throw Error(fmt::format("{} would have to be asked, but lade is offline", host_of(request.url)),
                ErrorKind::unavailable);
  }
  std::string url = request.url;
  std::chrono::steady_clock::duration waited{};
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    auto transfer = std::make_unique<Transfer>(pool_, options_);
    transfer->add_waited(waited);
    transfer->start(request, url, url_origin(url) == url_origin(request.url));
    const int status = transfer->status();
    if (status == 429 || status >= 500) {
      const std::string text = error_text(*transfer);
      throw OverloadedError(
          fmt::format("{} answered {}{}{}", host_of(url), status, text.empty() ? "" : ": ", text),
          transfer->retry_after());
    }
    if (!is_redirect(status)) return transfer;
    if (!may_follow(request.method, status)) {
      throw Error(fmt::format("{} answered {} to what was sent, which cannot be followed",
                              host_of(url), status));
    }
    const std::string target = transfer->redirect_url();
    if (target.empty()) {
      throw Error(fmt::format("{} answered {} without saying where to", host_of(url), status));
    }
    if (url.starts_with("https:") && !target.starts_with("https:")) {
      throw Error(fmt::format("{} redirects from https to {}, which is not followed", host_of(url),
                              quoted(url_origin(target))));
    }
    if (request.secret_body && url_origin(target) != url_origin(request.url)) {
      throw Error(fmt::format("{} redirects to {}, which gets no credentials", host_of(url),
                              quoted(url_origin(target))));
    }
    // What is left of the body is short; reading it keeps the connection.
    error_text(*transfer);
    waited = transfer->waited();
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
