// A small HTTP/1.1 server on a loopback address, for tests that need a server to misbehave.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace lade::test {

struct HttpServerRequest {
  std::string method;
  std::string target;                          ///< "/v2/", or a whole URL if the server is a proxy
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body = {};
  bool truncated = false;  ///< the server stopped reading the body (see HttpServer::cut_bodies)

  std::string header(const std::string& name) const {
    const auto field = headers.find(name);
    return field == headers.end() ? "" : field->second;
  }
};

/// An answer and what goes wrong with it.
struct HttpServerReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};

  bool send_length = true;               ///< otherwise the body ends with the connection
  std::optional<size_t> cut_after = {};  ///< closes the connection after so many bytes of the body
  bool reset = false;                    ///< a cut is a TCP reset, no orderly end
  bool no_answer = false;                ///< closes the connection without a head
  bool endless = false;                  ///< repeats the body for ever
  std::chrono::milliseconds drip{0};     ///< between the bytes of a body; 0: all at once
  std::string raw_head = {};             ///< sent as it is in place of status and headers
  std::chrono::milliseconds delay_head{0};
  std::chrono::milliseconds delay_body{0};  ///< between head and body
};

/// Serves until it is destroyed, which ends all its connections. The handler is called from one
/// thread per connection.
class HttpServer {
 public:
  using Handler = std::function<HttpServerReply(const HttpServerRequest&)>;
  explicit HttpServer(Handler handler, const std::string& address = "127.0.0.1");
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// For requests with a body: after how many bytes of it the server stops reading. The handler is
  /// called with what there is, its reply is not sent, the connection is reset. To be set before
  /// the first request.
  void cut_bodies(std::function<std::optional<size_t>(const HttpServerRequest&)> cut) {
    cut_ = std::move(cut);
  }

  std::string host() const;  ///< "127.0.0.1:12345"
  std::string url() const { return "http://" + host(); }
  std::vector<HttpServerRequest> requests() const;  ///< in order of arrival
  int connections() const { return connections_; }
  uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  struct Connection {
    UniqueFd fd;
    std::thread thread;
  };

  void accept_loop();
  void serve(int fd);
  bool read_body(int fd, HttpServerRequest& request);
  bool answer(int fd, const HttpServerRequest& request);
  bool send_body(int fd, const HttpServerReply& reply, bool head_only);
  bool send(int fd, std::string_view bytes);
  void pause(std::chrono::milliseconds time) const;

  Handler handler_;
  std::function<std::optional<size_t>(const HttpServerRequest&)> cut_;
  std::string address_;
  int port_ = 0;
  UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::atomic<uint64_t> bytes_sent_{0};
  mutable std::mutex mutex_;
  std::vector<HttpServerRequest> requests_;
  std::list<Connection> open_;
  std::thread thread_;
};

/// A TCP port on 127.0.0.1 that nobody listened on a moment ago.
int free_port();

}  // namespace lade::test
