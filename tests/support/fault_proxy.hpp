// A proxy in front of a registry on loopback that lets things go wrong, and counts what passes.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace lade::test {

/// One thing that goes wrong, with the first requests that match.
struct Fault {
  enum class Kind {
    status,        ///< answers `number` without asking the registry; `text` is a Retry-After
    cut_response,  ///< resets the connection after `number` bytes of the answer's body
    cut_request,   ///< passes `number` bytes of the request's body on, then resets both sides
    corrupt,       ///< changes byte `number` of the answer's body
    wrong_digest,  ///< answers with another Docker-Content-Digest
    truncate,      ///< leaves `number` bytes of the answer's end out, and says so in its length
    slow,          ///< lets the answer's body through at `number` bytes per second
    redirect,      ///< answers 307 to `text` + the request's target
  };
  Kind kind = Kind::status;
  std::string method;  ///< empty: any
  std::string target;  ///< a part of the target; empty: any
  int times = 1;       ///< how often; -1: always
  uint64_t number = 0;
  std::string text;

  /// "KIND METHOD|* TARGET|* TIMES [NUMBER [TEXT]]", e.g. "cut_response GET /blobs/ 2 1000".
  /// Throws Error.
  static Fault parse(const std::string& line);
};

/// Serves until it is destroyed. Each connection carries one request. Thread-safe.
///
/// For programs in other languages: POST /_faults with lines for Fault::parse() adds faults,
/// DELETE /_faults forgets all faults and counts, GET /_counts gives the counts, one
/// "NAME NUMBER" per line.
class FaultProxy {
 public:
  /// `upstream` is host:port of 127.0.0.0/8; http only.
  explicit FaultProxy(std::string upstream, const std::string& address = "127.0.0.1");
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  std::string host() const;  ///< "127.0.0.1:12345"
  void add(Fault fault);
  /// Forgets faults and counts.
  void reset();
  /// How many requests there were of a kind: "GET blobs", "HEAD manifests", "PUT uploads", "GET
  /// other"; "up bytes" of bodies of uploads and "down bytes" of answers for blobs; "hit faults";
  /// "authorized" requests of any kind.
  uint64_t count(const std::string& name) const;
  std::map<std::string, uint64_t> counts() const;

 private:
  struct Request;
  struct Connection {
    UniqueFd fd;
    std::thread thread;
    std::atomic<bool> done{false};
  };

  void accept_loop();
  void serve(int client);
  void control(int client, const Request& request);
  std::optional<Fault> fault_for(const Request& request);
  void pass_on(int client, Request& request, const std::optional<Fault>& fault);
  bool send_body(int client, int upstream, const Request& request,
                 const std::optional<Fault>& fault);
  void answer(int client, int upstream, const Request& request, const std::optional<Fault>& fault);
  void add_count(const std::string& name, uint64_t number = 1);

  std::string upstream_;
  std::string address_;
  int port_ = 0;
  UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // guards what follows
  std::list<Fault> faults_;
  std::map<std::string, uint64_t> counts_;
  std::list<Connection> open_;  // the accepting thread's alone
  std::thread thread_;
};

}  // namespace lade::test
