// What an HTTP client is asked, what it answers, and how that fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/stream.hpp"
#include "registry/net/address_guard.hpp"

namespace lade {

/// A failure that may pass: a lost connection, 429, 5xx. Its kind is ErrorKind::unavailable.
class TransientError : public Error {
 public:
  explicit TransientError(std::string message, std::chrono::seconds retry_after = {})
      : Error(std::move(message), ErrorKind::unavailable), retry_after_(retry_after) {}
  /// What the server asked for, 0 if it did not.
  std::chrono::seconds retry_after() const { return retry_after_; }

 private:
  std::chrono::seconds retry_after_;
};

/// The server answered, with 429 or 5xx.
class OverloadedError : public TransientError {
 public:
  using TransientError::TransientError;
};

/// The far side's certificate is of no authority that is trusted, or of another host. Its kind is
/// ErrorKind::unavailable.
class UntrustedError : public Error {
 public:
  explicit UntrustedError(std::string message)
      : Error(std::move(message), ErrorKind::unavailable) {}
};

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{30'000};
  /// A transfer that moves less than 1 KiB/s over this time of waiting is cut.
  std::chrono::milliseconds stall_timeout{60'000};
  /// How long a server may think about a body that it has got whole: registries hash and move
  /// large blobs then.
  std::chrono::milliseconds answer_timeout{600'000};
  /// How long a request may be waited for in all, redirects included, unless it is a large one: a
  /// server that sends a byte now and then would hold a build for hours.
  std::chrono::milliseconds document_timeout{120'000};
  /// How often a request is sent in all before a TransientError is final.
  int attempts = 4;
  /// The mean delay before the second attempt; doubled each time, and randomised, so that many
  /// builders that lost the same server do not come back at once.
  std::chrono::milliseconds retry_delay{500};
  /// The longest delay, also where a server asks for more.
  std::chrono::milliseconds max_retry_delay{60'000};
  /// Whatever needs a request is an Error(unavailable) that names the host.
  bool offline = false;
  /// Addresses that are not connected to; null: all are.
  std::shared_ptr<const AddressGuard> guard{};
};

enum class HttpMethod { get, head, post, put, patch, delete_ };
const char* method_name(HttpMethod method);  ///< "GET"

/// What is sent along with a request.
struct HttpBody {
  uint64_t size = 0;
  /// A source of exactly `size` bytes from the first on; called again when a redirect or a lost
  /// connection makes it necessary to send them again. May be null if `size` is 0. What the source
  /// throws ends the request.
  std::function<std::unique_ptr<ByteSource>()> open;

  static HttpBody of(std::string bytes);
};

/// How the far side of a TLS connection is checked, and how lade shows who it is. Immutable.
struct TlsOptions {
  /// False: any certificate will do. Absent: checked, unless the host is loopback and has no `ca`.
  std::optional<bool> verify;
  std::string ca;  ///< certificates (PEM) that are trusted beside the system's; may be empty
  std::string certificate;  ///< path of a client certificate (PEM); empty: none
  std::string key;          ///< path of its key
};

struct HttpRequest {
  std::string url;
  HttpMethod method = HttpMethod::get;
  std::vector<std::string> headers;  ///< "Accept: text/plain"
  /// The value of Authorization; sent to the origin of `url` only, never to where it redirects.
  std::string authorization;
  /// For all but GET and HEAD.
  HttpBody body{};
  /// The body is a credential, too: a redirect to another origin is an Error.
  bool secret_body = false;
  /// What is sent or comes may take long (a blob, a download): only its speed is watched.
  bool large = false;
  /// Null: as TlsOptions{}. The client certificate is for the origin of `url` only, too.
  std::shared_ptr<const TlsOptions> tls{};
  /// Asked now and then while waiting; true ends the request with Error(canceled). May be null.
  std::function<bool()> canceled{};
};

/// A server that cuts more often than once per so many bytes is given up.
inline constexpr uint64_t kBytesPerCut = 1u << 20;

inline bool is_success(int status) {
  return status >= 200 && status < 300;
}

/// A response whose head has arrived; reading gives the body as it comes, with bounded buffering:
/// what is not read stays in the network. Destroying it ends the transfer. May outlive its
/// HttpClient. For one thread at a time.
class HttpResponse : public ByteSource {
 public:
  virtual int status() const = 0;
  /// The field's value (`name` in lower case), "" if there is none; repeated fields are joined by
  /// ", ".
  virtual std::string header(std::string_view name) const = 0;
  /// The origin (see url_origin()) that sent this: after redirects another than the request's.
  virtual const std::string& origin() const = 0;
  /// Content-Length, if the server said.
  std::optional<uint64_t> length() const;
  /// Throws TransientError if the body is cut short or stalls.
  size_t read(char* buffer, size_t size) override = 0;
};

}  // namespace lade
