#include "app/image/engine.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/child_process.hpp"
#include "base/error.hpp"
#include "base/json/json_reader.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

constexpr const char* kDefaultSocket = "/var/run/docker.sock";
constexpr std::string_view kUnixScheme = "unix://";
constexpr uint64_t kMaxAnswer = 16u << 20;
constexpr size_t kChunk = 256 * 1024;

/// Connected; nothing if nobody listens there.
UniqueFd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error("the socket's path " + lade::quoted(path) + " is too long", ErrorKind::usage);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("could not make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  return fd;
}

/// All that `fd` still gives, up to the end.
std::string read_answer(int fd) {
  FdSource source(fd);
  return read_all(source, kMaxAnswer, "the engine's answer");
}

/// Body of an HTTP/1.1 answer (RFC 9112), which may come in chunks. Throws for a status other than
/// 200.
std::string body_of(const std::string& answer) {
  const auto line_end = answer.find("\r\n");
  const auto head_end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || head_end == std::string::npos) {
    throw Error("it does not speak HTTP");
  }
  const std::string head = to_lower(answer.substr(0, head_end));
  std::string body = answer.substr(head_end + 4);
  if (head.find("transfer-encoding: chunked") != std::string::npos) {
    std::string whole;
    for (size_t at = 0;;) {
      const auto end = body.find("\r\n", at);
      if (end == std::string::npos) break;
      const size_t size = std::strtoul(body.c_str() + at, nullptr, 16);
      if (size == 0 || size > body.size() - (end + 2)) break;
      whole += body.substr(end + 2, size);
      at = end + 2 + size + 2;
      if (at >= body.size()) break;
    }
    body = std::move(whole);
  }
  if (answer.substr(8, 4) != " 200") {
    throw Error(fmt::format("it answered {}: {}", answer.substr(9, line_end - 9), trim(body)));
  }
  return body;
}

/// Docker answers 200 before it reads the images: what went wrong is in the stream of documents.
void check_events(const std::string& body) {
  for (const auto& line : split(body, '\n')) {
    const auto event = parse_foreign_json(line);
    if (event.is_object() && event.contains("error") && event["error"].is_string()) {
      throw Error(event["error"].get<std::string>());
    }
  }
}

/// Sends what comes through `from` as the body of a request.
void send_chunks(int to, int from) {
  std::vector<char> buffer(kChunk);
  while (const size_t size = sys::read_some(from, buffer.data(), buffer.size())) {
    sys::write_all(to, fmt::format("{:x}\r\n", size));
    sys::write_all(to, {buffer.data(), size});
    sys::write_all(to, "\r\n");
  }
}

void load_into_docker(StateDir& state, const ArchivedImage& image, int socket) {
  sys::write_all(socket,
                 "POST /images/load?quiet=1 HTTP/1.1\r\nHost: docker\r\n"
                 "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"
                 "Connection: close\r\n\r\n");
  sys::Pipe pipe = sys::pipe();
  // The archive is written through the pipe by one thread while this one sends it on.
  std::exception_ptr failure;
  std::thread writer([&, end = std::move(pipe.write)]() mutable {
    try {
      export_docker_archive(state, {image}, fmt::format("/proc/self/fd/{}", end.get()));
    } catch (...) {
      failure = std::current_exception();
    }
    end.reset();
  });
  std::exception_ptr lost;
  try {
    send_chunks(socket, pipe.read.get());
  } catch (const Error&) {
    lost = std::current_exception();
  }
  pipe.read.reset();
  writer.join();
  // An archive that is cut off must not end as a whole one does.
  if (failure && !lost) std::rethrow_exception(failure);
  if (!lost) sys::write_all(socket, "0\r\n\r\n");
  // Who stops reading has said why, most of the time.
  const std::string answer = read_answer(socket);
  if (lost && answer.empty()) std::rethrow_exception(lost);
  check_events(body_of(answer));
}

void load_into_podman(StateDir& state, const ArchivedImage& image) {
  // A directory that a killed lade leaves is swept.
  const PendingLayer place = state.layers().prepare();
  const std::string archive = place.path() + "/image.tar";
  ArchivedImage one = image;
  one.names.clear();
  export_docker_archive(state, {one}, archive);
  std::vector<std::string> env;
  for (char** variable = environ; *variable; ++variable) env.emplace_back(*variable);
  const Cancellation never;
  std::vector<std::string> names = image.names;
  if (names.empty()) {
    const auto& written = image.image.images.front();
    names.push_back("localhost/lade:" + written.config.digest.hex().substr(0, 12));
  }
  for (const auto& name : names) {
    ProcessSpec spec;
    spec.args = {"skopeo",
                 "--insecure-policy",
                 "copy",
                 "--quiet",
                 "docker-archive:" + archive,
                 "containers-storage:" + Reference::parse(name).str()};
    spec.env = env;
    spec.own_mounts = true;
    const ProcessResult result = run_process(spec, never);
    if (result.exit_code != 0) {
      throw Error("skopeo could not copy the image to podman's storage: " +
                  std::string(trim(result.errors)));
    }
  }
}

}  // namespace

std::string hand_to_engine(StateDir& state, const ArchivedImage& image) {
  const std::string host = sys::getenv("DOCKER_HOST");
  if (!host.empty() && !host.starts_with(kUnixScheme)) {
    throw Error("DOCKER_HOST is " + lade::quoted(host) +
                "; images are loaded through unix:// only");
  }
  const std::string path = host.empty() ? kDefaultSocket : host.substr(kUnixScheme.size());
  if (const UniqueFd socket = connect_to(path)) {
    with_context("Docker at " + lade::quoted(path),
                 [&] { load_into_docker(state, image, socket.get()); });
    return "docker";
  }
  if (!host.empty()) throw Error("no Docker answers at " + lade::quoted(path));
  try {
    load_into_podman(state, image);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    Error none("there is no engine to load the image into: no Docker answers at " +
               lade::quoted(path) +
               ", and skopeo, which reaches podman's images, is not installed");
    none.set_hint("start Docker, set DOCKER_HOST, or write a file with -o type=docker,dest=FILE");
    throw none;
  }
  return "podman";
}

}  // namespace lade
