// Network slots for steps: network namespaces with outbound access, each served by one slirp4netns.
//
// A slot takes some 15 ms to make and nothing to use again, so slots are kept, made when no free
// one is left, and lent to one step at a time (steps in one namespace would share ports and
// abstract sockets). The namespaces have no name: the pool's descriptors keep them alive.
// slirp4netns ends when the pool's process does, however that ends (--exit-fd).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace lade::sandbox {

/// Lives in the zygote; single-threaded.
class NetworkPool {
 public:
  struct Slot;

  NetworkPool();
  NetworkPool(const NetworkPool&) = delete;
  NetworkPool& operator=(const NetworkPool&) = delete;
  ~NetworkPool();  ///< ends all helpers and waits for them

  /// Starts making slots until `wanted` are free or on their way. Throws Error.
  void prepare(const std::string& helper, size_t wanted);
  /// A free slot, now the caller's; nullptr if there is none.
  Slot* acquire();
  /// Gives it back. One that is not reusable ends.
  void release(Slot* slot, bool reusable);
  static int netns(const Slot& slot);

  /// What to wait for: add_poll() appends descriptors, deadline_ms() is a timeout (-1: none). After
  /// any wait, update() looks at the slots on their way; it returns why those that failed did.
  void add_poll(std::vector<pollfd>& fds) const;
  int deadline_ms() const;
  std::vector<std::string> update();

  /// True if `pid` was a helper's.
  bool helper_ended(pid_t pid);

 private:
  UniqueFd own_netns_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

/// The path of slirp4netns, for prepare(). Throws Error that says what to install.
std::string find_network_helper();

}  // namespace lade::sandbox
