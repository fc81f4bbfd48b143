// A proxy (SOCKS 5, RFC 1928) at loopback through which git, whose connections are its own, reaches
// what an AddressGuard lets it: names are resolved here, and the addresses they lead to are judged
// when they are connected to, those of redirects and submodules, too.
//
// Only who knows the password of its URL can use it. It ends with the object, and all connections
// with it.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"
#include "registry/net/address_guard.hpp"

namespace lade {

class GuardedProxy {
 public:
  /// Throws Error.
  explicit GuardedProxy(std::shared_ptr<const AddressGuard> guard);
  ~GuardedProxy();
  GuardedProxy(const GuardedProxy&) = delete;
  GuardedProxy& operator=(const GuardedProxy&) = delete;

  /// "socks5h://lade:PASSWORD@127.0.0.1:PORT"
  const std::string& url() const { return url_; }
  /// "HOST is at ADDRESS, which builds may not connect to", of the last that was refused since it
  /// was asked; empty: none was.
  std::string take_refusal();

 private:
  struct Connection {
    std::thread thread;
    std::atomic<bool> ended{false};
  };

  void accept_all();
  void serve(int client);
  /// Invalid, with `code` for the client, if there is nobody or nobody who may be reached.
  UniqueFd connect(const std::string& host, const std::string& port, unsigned char& code);

  const std::shared_ptr<const AddressGuard> guard_;
  const std::string password_;
  std::string url_;
  UniqueFd listener_;
  UniqueFd stop_;  // readable from the end on
  std::mutex mutex_;
  std::string refusal_;                // guarded by mutex_
  std::list<Connection> connections_;  // of the accepting thread
  std::thread thread_;
};

/// The first address that `host` leads to and `guard` lets through. Throws Error(general) if it
/// leads to none.
std::string allowed_address(const AddressGuard& guard, const std::string& host);

}  // namespace lade
