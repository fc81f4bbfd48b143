#include "snapshotter/tar/read_ahead.hpp"

#include <algorithm>
#include <cstring>

namespace lade {
namespace {
constexpr size_t kChunk = 256 * 1024;
constexpr size_t kChunks = 8;
}  // namespace

ReadAhead::ReadAhead(ByteSource& inner) : inner_(inner), thread_([this] { fetch(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::fetch() {
  std::exception_ptr failure;
  try {
    for (;;) {
      std::string chunk(kChunk, '\0');
      size_t filled = 0;
      while (filled < chunk.size()) {
        const size_t count = inner_.read(chunk.data() + filled, chunk.size() - filled);
        if (count == 0) break;
        filled += count;
      }
      const bool last = filled < chunk.size();
      chunk.resize(filled);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return abandoned_ || chunks_.size() < kChunks; });
      if (abandoned_) return;
      if (!chunk.empty()) chunks_.push_back(std::move(chunk));
      if (last) break;
      changed_.notify_all();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    failure_ = failure;
  }
  changed_.notify_all();
}

size_t ReadAhead::read(char* buffer, size_t size) {
  if (offset_ == current_.size()) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return finished_ || !chunks_.empty(); });
    if (chunks_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return 0;
    }
    current_ = std::move(chunks_.front());
    chunks_.pop_front();
    offset_ = 0;
    changed_.notify_all();
  }
  const size_t count = std::min(size, current_.size() - offset_);
  std::memcpy(buffer, current_.data() + offset_, count);
  offset_ += count;
  return count;
}

}  // namespace lade
