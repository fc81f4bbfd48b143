#include "exporter/fetchers.hpp"

#include <algorithm>

namespace lade {
namespace {

// Registries serve a client's few transfers side by side well; more only fill the disk's queue.
constexpr size_t kThreads = 4;

}  // namespace

Fetchers::Fetchers(size_t count, std::function<void(size_t)> body)
    : count_(count), body_(std::move(body)) {
  for (size_t i = 0; i < std::min(count, kThreads); ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

Fetchers::~Fetchers() {
  next_ = count_;
}

void Fetchers::join() {
  threads_.clear();
  if (failure_) std::rethrow_exception(failure_);
}

void Fetchers::work() {
  for (size_t i = next_++; i < count_; i = next_++) {
    try {
      body_(i);
    } catch (...) {
      next_ = count_;
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

}  // namespace lade
