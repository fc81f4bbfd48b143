// The wall clock as a count since 1970, which is how times are kept in files and databases.
#pragma once

#include <chrono>
#include <cstdint>

namespace lade {

template <class Unit>
int64_t now_in() {
  return std::chrono::duration_cast<Unit>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

inline int64_t now_seconds() {
  return now_in<std::chrono::seconds>();
}
inline int64_t now_ms() {
  return now_in<std::chrono::milliseconds>();
}
inline int64_t now_ns() {
  return now_in<std::chrono::nanoseconds>();
}

}  // namespace lade
