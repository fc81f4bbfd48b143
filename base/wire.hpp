// A small binary encoding (little-endian integers, length-prefixed strings) for what lade writes
// for itself: cache keys, layer indexes, messages between its own processes. Readers are bounded:
// they throw Error(corrupt) instead of reading past the end or allocating what the input merely
// claims.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/digest.hpp"
#include "base/error.hpp"

namespace lade {

class WireWriter {
 public:
  template <class T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
  WireWriter& number(T value) {
    static_assert(sizeof(T) <= 8);
    const auto wide = static_cast<uint64_t>(value);
    char bytes[8];
    std::memcpy(bytes, &wide, sizeof bytes);
    out_.append(bytes, sizeof bytes);
    return *this;
  }
  WireWriter& text(std::string_view value) {
    number(value.size());
    out_ += value;
    return *this;
  }
  WireWriter& digest(const Digest& value) {
    out_.append(reinterpret_cast<const char*>(value.bytes().data()), value.bytes().size());
    return *this;
  }
  /// A count followed by each element through `each(writer, element)`.
  template <class Range, class Each>
  WireWriter& list(const Range& range, Each each) {
    number(range.size());
    for (const auto& element : range) each(*this, element);
    return *this;
  }
  WireWriter& texts(const auto& range) {
    return list(range, [](WireWriter& writer, const auto& element) { writer.text(element); });
  }
  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  template <class T = uint64_t>
  T number() {
    uint64_t wide = 0;
    std::memcpy(&wide, take(sizeof wide).data(), sizeof wide);
    return static_cast<T>(wide);
  }
  std::string_view text() { return take(number<uint64_t>()); }
  Digest digest() {
    Digest::Bytes bytes{};
    std::memcpy(bytes.data(), take(bytes.size()).data(), bytes.size());
    return Digest(bytes);
  }
  /// A list's count, refused when even one byte per element would not fit.
  size_t count() {
    const auto value = number<uint64_t>();
    if (value > bytes_.size()) throw Error("list is longer than its bytes", ErrorKind::corrupt);
    return value;
  }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view take(uint64_t size) {
    if (size > bytes_.size()) throw Error("data ends early", ErrorKind::corrupt);
    const auto out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }
  std::string_view bytes_;
};

}  // namespace lade
