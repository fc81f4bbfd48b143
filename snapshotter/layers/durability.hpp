// Makes committed layers durable behind the build's back (DESIGN.md, "State and configuration").
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/database.hpp"
#include "base/unique_fd.hpp"

namespace lade {

/// A background thread that, some time after note_commit(), calls syncfs(2) and then marks the
/// layer rows durable that were there before it. A short build ends before the delay is over and
/// has nothing to wait for; its rows are marked by the next one that lasts longer.
///
/// The destructor never waits for syncfs (which takes as long as the disk needs): the thread goes
/// on without this object, and marks nothing. It owns what it touches.
class DurabilitySweep {
 public:
  /// `filesystem`: a descriptor on the state's filesystem. `connect` opens a connection of the
  /// thread's own.
  DurabilitySweep(UniqueFd filesystem, std::function<std::unique_ptr<Database>()> connect,
                  std::chrono::milliseconds delay);
  ~DurabilitySweep();
  DurabilitySweep(const DurabilitySweep&) = delete;
  DurabilitySweep& operator=(const DurabilitySweep&) = delete;

  /// A row with durable = 0 has been committed. Starts the thread the first time.
  void note_commit();

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);
  static void sweep(Shared& shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace lade
