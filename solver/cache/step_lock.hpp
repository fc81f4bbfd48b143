// One build runs a step, the others wait: a lock per cache key, across threads and processes.
//
// The lock is a flock on STATE/locks/step-<key>, so it goes away with its owner however that dies,
// and a waiter takes over. An owner that finishes says in the file how: waiters of a failed step
// get its error, those of a successful one find the record. The file is unlinked before the lock is
// released; whoever held it open reads the outcome from the file they have, and starts over with a
// new one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/unique_fd.hpp"

namespace lade {

class StepLock {
 public:
  /// What one look at the lock found.
  enum class Attempt {
    owned,     ///< it is ours; nobody has finished the step since we began to wait
    busy,      ///< somebody else runs it: try again later
    finished,  ///< the one we waited for succeeded: look for its record, then start over if there
               ///< is none
  };

  /// Opens (or makes) the lock's file; does not wait.
  StepLock(const std::string& lock_dir, const Digest& key);
  /// An owner that goes without a word (a canceled build) takes its file along; a waiter takes
  /// over.
  ~StepLock();
  StepLock(StepLock&& other) noexcept;
  StepLock& operator=(StepLock&&) = delete;

  /// Never blocks. Throws Error with the owner's message if the step we waited for failed there.
  Attempt try_acquire();

  /// The owner's last word; releases. Without it (or when the process dies) a waiter takes over.
  void succeed();
  void fail(const std::string& message);

 private:
  void finish(const std::string& outcome);
  void reopen();

  std::string path_;
  UniqueFd fd_;
  bool owned_ = false;
};

}  // namespace lade
