#include "tests/support/http_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "tests/support/sockets.hpp"

namespace lade::test {
namespace {

HttpServerRequest parse_head(const std::string& head) {
  HttpServerRequest out;
  const auto lines = split(head, '\n');
  const auto words = split(trim(lines.at(0)), ' ');
  out.method = words.at(0);
  out.target = words.size() > 1 ? words[1] : "";
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i]);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    out.headers[to_lower(line.substr(0, colon))] = trim(line.substr(colon + 1));
  }
  return out;
}

}  // namespace

int free_port() {
  int port = 0;
  bound_socket("127.0.0.1", port);
  return port;
}

HttpServer::HttpServer(Handler handler, const std::string& address)
    : handler_(std::move(handler)), address_(address), listener_(bound_socket(address, port_)) {
  if (::listen(listener_.get(), 64) != 0) throw_errno("could not listen");
  thread_ = std::thread([this] { accept_loop(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
  // The accept loop is over: nobody else touches the list.
  for (auto& connection : open_) ::shutdown(connection.fd.get(), SHUT_RDWR);
  for (auto& connection : open_) connection.thread.join();
}

std::string HttpServer::host() const {
  return fmt::format("{}:{}", address_, port_);
}

std::vector<HttpServerRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::accept_loop() {
  while (!stopping_) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    ++connections_;
    auto& connection = open_.emplace_back();
    connection.fd = std::move(fd);
    connection.thread = std::thread([this, raw = connection.fd.get()] { serve(raw); });
  }
}

void HttpServer::serve(int fd) {
  while (!stopping_) {
    const std::string head = read_head(fd);
    if (head.empty()) break;
    HttpServerRequest request = parse_head(head);
    if (!read_body(fd, request)) break;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (request.truncated) {
      handler_(request);
      reset_connection(fd);
      break;
    }
    if (!answer(fd, request)) break;
  }
  // The descriptor itself lives as long as the server, so that its number is not used again
  // meanwhile.
  ::shutdown(fd, SHUT_RDWR);
}

/// False if the client went away.
bool HttpServer::read_body(int fd, HttpServerRequest& request) {
  const std::string length = request.header("content-length");
  size_t size = length.empty() ? 0 : std::stoull(length);
  if (const auto cut = cut_ && size > 0 ? cut_(request) : std::nullopt; cut && *cut < size) {
    size = *cut;
    request.truncated = true;
  }
  if (request.header("expect") == "100-continue" && !send(fd, "HTTP/1.1 100 Continue\r\n\r\n")) {
    return false;
  }
  request.body.resize(size);
  for (size_t done = 0; done < size;) {
    const ssize_t count = ::recv(fd, request.body.data() + done, size - done, 0);
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

bool HttpServer::answer(int fd, const HttpServerRequest& request) {
  const HttpServerReply reply = handler_(request);
  pause(reply.delay_head);
  if (reply.no_answer) return false;
  std::string head = reply.raw_head;
  if (head.empty()) {
    head = fmt::format("HTTP/1.1 {} Status\r\n", reply.status);
    for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
    if (reply.send_length && !reply.endless) {
      head += fmt::format("Content-Length: {}\r\n", reply.body.size());
    }
    head += "\r\n";
  }
  if (!send(fd, head)) return false;
  pause(reply.delay_body);
  return send_body(fd, reply, request.method == "HEAD") && reply.send_length;
}

/// True if the connection can take another request.
bool HttpServer::send_body(int fd, const HttpServerReply& reply, bool head_only) {
  if (head_only) return true;
  if (reply.endless) {
    while (!stopping_ && send(fd, reply.body)) {
    }
    return false;
  }
  if (reply.drip.count() > 0) {
    for (const char& byte : reply.body) {
      pause(reply.drip);
      if (!send(fd, {&byte, 1})) return false;
    }
    return true;
  }
  if (!reply.cut_after) return send(fd, reply.body);
  send(fd, std::string_view(reply.body).substr(0, *reply.cut_after));
  if (reply.reset) reset_connection(fd);
  return false;
}

bool HttpServer::send(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes_sent_ += static_cast<uint64_t>(count);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

void HttpServer::pause(std::chrono::milliseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!stopping_ && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace lade::test
