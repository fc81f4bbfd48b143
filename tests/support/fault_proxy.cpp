#include "tests/support/fault_proxy.hpp"

#include <algorithm>
#include <chrono>
#include <sstream>

#include <fmt/format.h>
#include <sys/socket.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "tests/support/sockets.hpp"

namespace lade::test {
namespace {

constexpr size_t kBuffer = 64 * 1024;

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The lines of a head behind its first.
Headers parse_headers(const std::string& head) {
  Headers out;
  const auto lines = split(head, '\n');
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i]);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    out.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return out;
}

std::string* field(Headers& headers, std::string_view name) {
  const auto at = std::find_if(headers.begin(), headers.end(),
                               [&](const auto& header) { return to_lower(header.first) == name; });
  return at == headers.end() ? nullptr : &at->second;
}

void drop(Headers& headers, std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return to_lower(header.first) == name; });
}

std::string head_text(std::string_view first_line, const Headers& headers) {
  std::string out = fmt::format("{}\r\n", first_line);
  for (const auto& [name, value] : headers) out += fmt::format("{}: {}\r\n", name, value);
  return out + "\r\n";
}

void reply(int client, int status, const Headers& headers, std::string_view body) {
  Headers all = headers;
  all.emplace_back("Content-Length", std::to_string(body.size()));
  all.emplace_back("Connection", "close");
  send_all(client, head_text(fmt::format("HTTP/1.1 {} Status", status), all));
  send_all(client, body);
}

}  // namespace

struct FaultProxy::Request {
  std::string method;
  std::string target;
  Headers headers;
  uint64_t length = 0;

  bool concerns(std::string_view part) const { return target.find(part) != std::string::npos; }
  std::string kind() const {
    for (const char* part : {"uploads", "blobs", "manifests"}) {
      if (concerns(fmt::format("/{}/", part))) return method + " " + part;
    }
    return method + " other";
  }
};

Fault Fault::parse(const std::string& line) {
  static const std::map<std::string, Kind> kKinds = {{"status", Kind::status},
                                                     {"cut_response", Kind::cut_response},
                                                     {"cut_request", Kind::cut_request},
                                                     {"corrupt", Kind::corrupt},
                                                     {"truncate", Kind::truncate},
                                                     {"wrong_digest", Kind::wrong_digest},
                                                     {"slow", Kind::slow},
                                                     {"redirect", Kind::redirect}};
  std::istringstream in(line);
  std::string kind;
  Fault out;
  in >> kind >> out.method >> out.target >> out.times;
  const auto known = kKinds.find(kind);
  if (!in || known == kKinds.end()) throw Error("no fault: " + quoted(line));
  out.kind = known->second;
  if (out.method == "*") out.method.clear();
  if (out.target == "*") out.target.clear();
  in >> out.number >> out.text;
  return out;
}

FaultProxy::FaultProxy(std::string upstream, const std::string& address)
    : upstream_(std::move(upstream)), address_(address), listener_(bound_socket(address, port_)) {
  if (::listen(listener_.get(), 64) != 0) throw_errno("could not listen");
  thread_ = std::thread([this] { accept_loop(); });
}

FaultProxy::~FaultProxy() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
  for (auto& connection : open_) ::shutdown(connection.fd.get(), SHUT_RDWR);
  for (auto& connection : open_) connection.thread.join();
}

std::string FaultProxy::host() const {
  return fmt::format("{}:{}", address_, port_);
}

void FaultProxy::add(Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultProxy::reset() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  counts_.clear();
}

std::map<std::string, uint64_t> FaultProxy::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

uint64_t FaultProxy::count(const std::string& name) const {
  const auto all = counts();
  const auto found = all.find(name);
  return found == all.end() ? 0 : found->second;
}

void FaultProxy::add_count(const std::string& name, uint64_t number) {
  const std::lock_guard lock(mutex_);
  counts_[name] += number;
}

void FaultProxy::accept_loop() {
  while (!stopping_) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    for (auto at = open_.begin(); at != open_.end();) {
      if (at->done) at->thread.join();
      at = at->done ? open_.erase(at) : std::next(at);
    }
    if (!fd) continue;
    auto& connection = open_.emplace_back();
    connection.fd = std::move(fd);
    connection.thread = std::thread([this, &connection] {
      try {
        serve(connection.fd.get());
      } catch (const Error&) {
        // The registry does not answer: neither does the proxy.
      }
      ::shutdown(connection.fd.get(), SHUT_RDWR);
      connection.done = true;
    });
  }
}

void FaultProxy::serve(int client) {
  char first = 0;
  // Who tries TLS first is told at once that this is none.
  if (::recv(client, &first, 1, MSG_PEEK) != 1 || first < 'A' || first > 'Z') return;
  const std::string head = read_head(client);
  if (head.empty()) return;
  const auto words = split(trim(head.substr(0, head.find('\n'))), ' ');
  if (words.size() < 3) return;
  Request request{words[0], words[1], parse_headers(head), 0};
  if (const auto* length = field(request.headers, "content-length")) {
    request.length = std::stoull(*length);
  }
  if (const auto* expect = field(request.headers, "expect")) {
    if (*expect == "100-continue") send_all(client, "HTTP/1.1 100 Continue\r\n\r\n");
    drop(request.headers, "expect");
  }
  if (request.target.starts_with("/_")) return control(client, request);
  add_count(request.kind());
  if (field(request.headers, "authorization")) add_count("authorized");
  const auto fault = fault_for(request);
  if (fault && fault->kind == Fault::Kind::status) {
    Headers headers;
    if (!fault->text.empty()) headers.emplace_back("Retry-After", fault->text);
    return reply(client, static_cast<int>(fault->number), headers, "");
  }
  if (fault && fault->kind == Fault::Kind::redirect) {
    return reply(client, 307, {{"Location", fault->text + request.target}}, "");
  }
  pass_on(client, request, fault);
}

void FaultProxy::control(int client, const Request& request) {
  std::string body(request.length, '\0');
  if (request.length > 0 &&
      ::recv(client, body.data(), body.size(), MSG_WAITALL) != static_cast<ssize_t>(body.size())) {
    return;
  }
  std::string out;
  if (request.method == "DELETE") {
    reset();
  } else if (request.method == "POST") {
    for (const auto& line : split(body, '\n')) {
      if (!trim(line).empty()) add(Fault::parse(line));
    }
  } else {
    for (const auto& [name, number] : counts()) out += fmt::format("{} {}\n", name, number);
  }
  reply(client, 200, {}, out);
}

std::optional<Fault> FaultProxy::fault_for(const Request& request) {
  const std::lock_guard lock(mutex_);
  for (auto& fault : faults_) {
    if (fault.times == 0 || (!fault.method.empty() && fault.method != request.method) ||
        !request.concerns(fault.target)) {
      continue;
    }
    if (fault.times > 0) --fault.times;
    ++counts_["hit faults"];
    return fault;
  }
  return std::nullopt;
}

void FaultProxy::pass_on(int client, Request& request, const std::optional<Fault>& fault) {
  const UniqueFd upstream = connected_socket(upstream_);
  drop(request.headers, "connection");
  request.headers.emplace_back("Connection", "close");
  const std::string line = fmt::format("{} {} HTTP/1.1", request.method, request.target);
  if (!send_all(upstream.get(), head_text(line, request.headers))) return;
  if (!send_body(client, upstream.get(), request, fault)) {
    reset_connection(upstream.get());
    reset_connection(client);
    return;
  }
  answer(client, upstream.get(), request, fault);
}

/// False if the body was cut.
bool FaultProxy::send_body(int client, int upstream, const Request& request,
                           const std::optional<Fault>& fault) {
  uint64_t left = request.length;
  const bool cut = fault && fault->kind == Fault::Kind::cut_request && fault->number < left;
  if (cut) left = fault->number;
  std::vector<char> buffer(kBuffer);
  while (left > 0) {
    const ssize_t count = ::recv(client, buffer.data(), std::min<uint64_t>(left, kBuffer), 0);
    if (count <= 0) return false;
    if (request.concerns("/uploads/")) add_count("up bytes", static_cast<uint64_t>(count));
    if (!send_all(upstream, {buffer.data(), static_cast<size_t>(count)})) return false;
    left -= static_cast<uint64_t>(count);
  }
  return !cut;
}

void FaultProxy::answer(int client, int upstream, const Request& request,
                        const std::optional<Fault>& fault) {
  using Kind = Fault::Kind;
  const auto is = [&](Kind kind) { return fault && fault->kind == kind; };
  const std::string head = read_head(upstream);
  if (head.empty()) return;
  Headers headers = parse_headers(head);
  drop(headers, "connection");
  headers.emplace_back("Connection", "close");
  std::string* const length = field(headers, "content-length");
  uint64_t left = length ? std::stoull(*length) : UINT64_MAX;
  if (is(Kind::truncate) && length) {
    left -= std::min(left, fault->number);
    *length = std::to_string(left);
  }
  if (auto* digest = field(headers, "docker-content-digest"); digest && is(Kind::wrong_digest)) {
    *digest = Digest::of("another").str();
  }
  if (!send_all(client, head_text(trim(head.substr(0, head.find('\n'))), headers))) return;
  if (request.method == "HEAD") return;
  if (is(Kind::cut_response)) left = std::min(left, fault->number);
  size_t chunk = kBuffer;
  if (is(Kind::slow)) chunk = std::clamp<size_t>(fault->number / 20, 1, kBuffer);
  std::vector<char> buffer(kBuffer);
  for (uint64_t done = 0; left > 0 && !stopping_;) {
    const ssize_t count = ::recv(upstream, buffer.data(), std::min<uint64_t>(left, chunk), 0);
    if (count <= 0) break;
    const auto size = static_cast<uint64_t>(count);
    if (is(Kind::corrupt) && fault->number >= done && fault->number < done + size) {
      buffer[fault->number - done] = static_cast<char>(buffer[fault->number - done] ^ 1);
    }
    if (request.concerns("/blobs/")) add_count("down bytes", size);
    if (!send_all(client, {buffer.data(), size})) return;
    done += size;
    left -= size;
    if (is(Kind::slow)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (is(Kind::cut_response)) reset_connection(client);
}

}  // namespace lade::test
