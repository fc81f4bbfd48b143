// The receiving side of fsutil's protocol, for those who keep what comes: tree_directory.cpp in a
// directory, tree_memory.cpp in memory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/proto/fsutil.pb.h"
#include "daemon/session/tree_sync.hpp"

namespace lade::tree {

using fsutil::types::Packet;
using fsutil::types::Stat;

bool is_directory(const Stat& stat);
/// Whose contents can be asked for: what both sides must agree on.
bool has_data(const Stat& stat);
/// Throws Error(corrupt) for an entry that must not be.
[[noreturn]] void refuse(const Stat& stat, std::string_view why);

/// Sends requests from a thread of its own: a sender that is busy sending may not read for long.
class Requests {
 public:
  explicit Requests(PacketStream& stream) : stream_(stream), thread_([this] { run(); }) {}
  /// Once all are sent.
  ~Requests();
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  void send(Packet packet);

 private:
  void run();

  PacketStream& stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Packet> queue_;  // guarded by mutex_
  bool stop_ = false;         // guarded by mutex_
  std::thread thread_;
};

/// What every receiver does: order, numbers, errors.
class Receiver {
 public:
  explicit Receiver(PacketStream& stream) : stream_(stream), requests_(stream) {}
  virtual ~Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  /// Until both sides have ended. Throws Error, of which the sender is told.
  void run();

 protected:
  /// `id` is what its contents are requested by.
  virtual void entry(const Stat& stat, uint32_t id) = 0;
  /// Empty at the end of a file.
  virtual void data(uint32_t id, const std::string& bytes) = 0;
  /// Whether requested contents have not come yet.
  virtual bool waiting() const = 0;
  virtual void all_listed() {}
  virtual void finish() {}

  void request(uint32_t id);

 private:
  void send(Packet::PacketType type);
  void receive();
  void take_stat(const Packet& packet);
  void drain();

  PacketStream& stream_;
  Requests requests_;
  bool listed_ = false;
  std::string last_;
  std::vector<std::string> parents_;  // directories that the last entry lies in
  size_t count_ = 0;
};

}  // namespace lade::tree
