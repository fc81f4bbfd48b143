// Byte streams: where bytes come from (ByteSource) and go to (ByteSink), composable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/unique_fd.hpp"

namespace lade {

/// A place that takes bytes in order. write() throws Error; finish() must be called once after the
/// last write (a sink that is destroyed without it has been abandoned).
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::string_view bytes) = 0;
  virtual void finish() {}
};

/// A place that gives bytes in order.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Reads up to `size` bytes; 0 means the end. Throws Error.
  virtual size_t read(char* buffer, size_t size) = 0;
};

/// Writes to a file descriptor it owns or borrows.
class FdSink : public ByteSink {
 public:
  explicit FdSink(UniqueFd fd) : owned_(std::move(fd)), fd_(owned_.get()) {}
  explicit FdSink(int borrowed) : fd_(borrowed) {}
  void write(std::string_view bytes) override;

 private:
  UniqueFd owned_;
  int fd_;
};

class FdSource : public ByteSource {
 public:
  explicit FdSource(UniqueFd fd) : owned_(std::move(fd)), fd_(owned_.get()) {}
  explicit FdSource(int borrowed) : fd_(borrowed) {}
  size_t read(char* buffer, size_t size) override;

 private:
  UniqueFd owned_;
  int fd_;
};

class StringSource : public ByteSource {
 public:
  explicit StringSource(std::string text) : text_(std::move(text)) {}
  size_t read(char* buffer, size_t size) override;

 private:
  std::string text_;
  size_t offset_ = 0;
};

class StringSink : public ByteSink {
 public:
  void write(std::string_view bytes) override { text_ += bytes; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

/// Hashes and counts what passes; forwards to `next` unless it is null.
class HashSink : public ByteSink {
 public:
  explicit HashSink(ByteSink* next = nullptr) : next_(next) {}
  void write(std::string_view bytes) override;
  void finish() override {
    if (next_) next_->finish();
  }
  uint64_t size() const { return size_; }
  Digest digest() { return hasher_.finish(); }  ///< once, at the end

 private:
  ByteSink* next_;
  Hasher hasher_;
  uint64_t size_ = 0;
};

/// Hashes and counts what is read from `inner`.
class HashSource : public ByteSource {
 public:
  explicit HashSource(ByteSource& inner) : inner_(inner) {}
  size_t read(char* buffer, size_t size) override;
  uint64_t size() const { return size_; }
  Digest digest() { return hasher_.finish(); }  ///< once, at the end

 private:
  ByteSource& inner_;
  Hasher hasher_;
  uint64_t size_ = 0;
};

/// Copies all of `source` into `sink` (without finish()); returns the count.
uint64_t copy_stream(ByteSource& source, ByteSink& sink);

/// Reads `source` to its end, for what reading checks or counts.
void drain(ByteSource& source);

/// The first `size` bytes of `source`, or all that it has.
std::string read_start(ByteSource& source, size_t size);

/// Reads all of `source`; more than `limit` bytes is an Error naming `what`.
std::string read_all(ByteSource& source, uint64_t limit, std::string_view what);

}  // namespace lade
