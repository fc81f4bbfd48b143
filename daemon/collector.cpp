#include "daemon/collector.hpp"

#include <chrono>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "snapshotter/state.hpp"
#include "solver/cache_store.hpp"

namespace lade {
namespace {

constexpr auto kInterval = std::chrono::minutes(1);

/// BuildKit's kinds of records as lade's.
std::set<UsageType> types_of(const std::set<std::string>& names) {
  std::set<UsageType> out;
  for (const auto& name : names) {
    if (name == "source.local") {
      out.insert({UsageType::context, UsageType::stat_cache, UsageType::temporary});
    } else if (name == "exec.cachemount") {
      out.insert(UsageType::cache_mount);
    } else if (name == "source.git.checkout") {
      out.insert(UsageType::git);
    } else if (name == "regular") {
      out.insert({UsageType::layer, UsageType::blob});
    }
  }
  return out;
}

}  // namespace

Collector::Collector(std::string root, const DaemonOptions& options)
    : root_(std::move(root)),
      policies_(options.gc ? options.gc_policies : std::vector<GcPolicy>()) {
  if (!policies_.empty()) thread_ = std::thread([this] { run(); });
}

Collector::~Collector() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Collector::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    try {
      collect();
    } catch (const std::exception& error) {
      fmt::print(stderr, "lade daemon: garbage collection: {}\n", error.what());
    }
    lock.lock();
    changed_.wait_for(lock, kInterval, [&] { return stop_; });
  }
}

void Collector::collect() {
  for (const auto& policy : policies_) {
    const auto state = StateDir::open(root_);
    CollectedRecords records(state->database());
    PruneOptions options;
    options.types = types_of(policy.types);
    if (options.types.empty()) {
      options.types = {UsageType::layer,  UsageType::blob,       UsageType::cache_mount,
                       UsageType::git,    UsageType::stat_cache, UsageType::temporary,
                       UsageType::context};
    }
    options.keep_storage = policy.keep_bytes;
    if (policy.keep_seconds) options.unused_since = now_seconds() - *policy.keep_seconds;
    if (!options.keep_storage && !options.unused_since) continue;
    for (const auto& failure : prune(*state, records, options).failures) {
      fmt::print(stderr, "lade daemon: garbage collection: {}\n", failure);
    }
  }
}

}  // namespace lade
