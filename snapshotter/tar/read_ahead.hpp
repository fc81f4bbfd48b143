// Reading on a thread of its own, a bounded way ahead of whoever consumes.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "base/stream.hpp"

namespace lade {

/// Reads `inner` (borrowed) on another thread, so that fetching, decompressing and hashing overlap
/// with what is done to the bytes. At most 2 MiB ahead. What inner throws comes out of read(). The
/// destructor waits for the read that is under way.
class ReadAhead : public ByteSource {
 public:
  explicit ReadAhead(ByteSource& inner);
  ~ReadAhead() override;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  size_t read(char* buffer, size_t size) override;

 private:
  void fetch();

  ByteSource& inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> chunks_;  // guarded by mutex_, as the rest
  bool finished_ = false;
  bool abandoned_ = false;
  std::exception_ptr failure_;
  std::string current_;  // the consumer's own
  size_t offset_ = 0;
  std::thread thread_;
};

}  // namespace lade
