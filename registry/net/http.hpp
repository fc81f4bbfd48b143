// HTTP as registries need it: bodies streamed both ways, redirects, time limits and retries.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "registry/net/http_message.hpp"
#include "registry/net/url.hpp"

namespace lade {

/// Thread-safe. Connections are kept open and used again. Proxies are taken from the environment as
/// curl does (http_proxy, https_proxy, no_proxy), except for loopback hosts. TLS certificates are
/// checked against the system's authorities and those of the request's TlsOptions, again except for
/// loopback hosts, where self-signed ones are usual.
class HttpClient {
 public:
  static std::unique_ptr<HttpClient> create(HttpOptions options);
  virtual ~HttpClient() = default;

  /// Sends one request, once, and follows redirects (at most 10, never from https to http; with a
  /// body only 307 and 308, which ask for the same request again). Throws TransientError for lost
  /// connections, 429 and 5xx; Error(unavailable) for other connection failures.
  virtual std::unique_ptr<HttpResponse> send(const HttpRequest& request) = 0;

  /// Runs `body` until it throws no TransientError, with delays between, at most options.attempts
  /// times.
  virtual void retry(const std::function<void()>& body) = 0;

  virtual const HttpOptions& options() const = 0;
};

/// What a registry says in the body of an error (distribution-spec, "Error Codes"), or "" if it is
/// none of those. Reads at most 64 KiB of `response`.
std::string error_text(HttpResponse& response);

}  // namespace lade
