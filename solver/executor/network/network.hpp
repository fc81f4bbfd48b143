// Network slots for steps: network namespaces with outbound access, each served by one slirp4netns.
//
// A slot takes less than a millisecond to make; its slirp4netns, some 20 ms, starts with the first
// packet that a step sends, and stays. Slots are kept, and lent to one step at a time (steps in one
// namespace would share ports and abstract sockets). The namespaces have no name: the pool's
// descriptors keep them alive. Helpers end when the pool's process does, however that ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "solver/executor/network/network_reach.hpp"

namespace lade::sandbox {

/// Lives in the zygote; single-threaded.
class NetworkPool {
 public:
  struct Slot;

  explicit NetworkPool(NetworkReach reach);
  NetworkPool(const NetworkPool&) = delete;
  NetworkPool& operator=(const NetworkPool&) = delete;
  ~NetworkPool();  ///< ends all helpers and waits for them

  bool has_free_slot() const;
  /// Makes a slot unless there is a free one. Throws Error.
  void prepare();
  /// A free slot, now the caller's. `helper` is slirp4netns's path. Throws Error.
  Slot* acquire(const std::string& helper);
  /// Gives it back. One that is not reusable, or whose helper failed the step, ends.
  void release(Slot* slot, bool reusable);
  static int netns(const Slot& slot);

  /// Of a helper that has ended: which slot it was of, and why it did not start or was lost (empty:
  /// it ended as it should). A step's slot gets no other, and is not reused after the step.
  struct EndedHelper {
    Slot* slot = nullptr;
    std::string failure;
  };

  /// What to wait for, appended. After any wait, update() starts helpers for those who need one; it
  /// returns those it could not start.
  void add_poll(std::vector<pollfd>& fds) const;
  std::vector<EndedHelper> update();

  /// slot is nullptr if `pid` was no helper.
  EndedHelper helper_ended(pid_t pid, int status);

 private:
  NetworkReach reach_;
  UniqueFd own_netns_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace lade::sandbox
