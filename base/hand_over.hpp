// What ThreadSanitizer cannot see: one thread hands work to another through a library that is not
// instrumented (oneTBB). Says so in its builds, and is nothing in all others.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define LADE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LADE_TSAN 1
#endif
#endif

#ifdef LADE_TSAN
#include <sanitizer/tsan_interface.h>
/// For functions that read what the other thread wrote in order to find the HandOver.
#define LADE_BEFORE_HAND_OVER __attribute__((no_sanitize("thread"), noinline))
#else
#define LADE_BEFORE_HAND_OVER
#endif

namespace lade {

/// What was done before give() is seen after a take() that follows it.
class HandOver {
 public:
#ifdef LADE_TSAN
  void give() const { __tsan_release(const_cast<char*>(&place_)); }
  void take() const { __tsan_acquire(const_cast<char*>(&place_)); }

 private:
  char place_ = 0;
#else
  void give() const {}
  void take() const {}
#endif
};

}  // namespace lade
