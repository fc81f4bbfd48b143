// What running processes hold on to, so that garbage collection leaves it alone.
//
// STATE/locks/pins is a file without content whose bytes are locked (open-file-description locks,
// which end with their process however that dies, and cost a system call of some hundred
// nanoseconds):
//
//   byte ID               shared: a process uses the layer ID; exclusive: it is being removed
//   byte 2^60 + ID        shared: a process mounts the layer ID for steps; exclusive: links of its
//                         files are being made, which steps would see (LayerStore::lend())
//   byte 2^61 + time      shared: a process is at work that started then (milliseconds since 1970)
//
// A process pins a layer first and then looks whether it is there. So a collector that gets the
// exclusive lock may remove the layer: nobody has it, and whoever comes waits for the removal of
// its rows and finds it gone. It must not wait for the database's write lock inside of a
// transaction that others wait for; nor may pin() be called in one, but for an id that is new.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/unique_fd.hpp"

namespace lade {

/// File times lag the clock by up to a tick.
inline constexpr int64_t kFileTimeSlackMs = 50;

/// The pins of this process. Thread-safe.
class Pins {
 public:
  /// Says that this process has started its work now.
  explicit Pins(const std::string& root);

  /// Keeps the layer from being removed until this object goes. Waits while it is being removed.
  void pin(int64_t layer);
  /// Lets go of all but these.
  void keep_only(const std::unordered_set<int64_t>& layers);

  /// From now on, until this object goes, nobody makes links of the layer's files. False if
  /// somebody does at the moment and `wait` is not set.
  bool hold_mounted(int64_t layer, bool wait);

  /// When the work began that others are at for the longest: other processes, or other objects
  /// like this one in this process. Milliseconds since 1970; nullopt if nobody else is at work.
  std::optional<int64_t> oldest_other_start() const;

 private:
  UniqueFd fd_;
  std::mutex mutex_;
  std::unordered_set<int64_t> pinned_;  // guarded by mutex_
};

/// Keeps everybody, this process as well, from mounting a layer.
class MountBar {
 public:
  /// nullopt if somebody has mounted it, or may have.
  static std::optional<MountBar> try_make(const std::string& root, int64_t layer);

 private:
  explicit MountBar(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// A collector's view of the pins of all processes, its own included.
class PinCheck {
 public:
  explicit PinCheck(const std::string& root);

  /// True if nobody has pinned the layer, and from now on, until release(), nobody can.
  bool try_claim(int64_t layer);
  bool is_pinned(int64_t layer) const;
  void release();

 private:
  UniqueFd fd_;
};

}  // namespace lade
