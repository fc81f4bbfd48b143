#include "daemon/server/collector.hpp"

#include <chrono>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "snapshotter/state.hpp"
#include "solver/cache/cache_store.hpp"

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
      policies_(options.gc ? options.gc_policies : std::vector<GcPolicy>()),
      is_default_(options.gc && policies_.empty()) {
  if (is_default_) {
    GcPolicy everything;
    everything.all = true;
    policies_.push_back(everything);
  }
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
    if (options.types.empty()) options.types = cache_types();
    options.keep_storage = policy.space;
    if (is_default_) {
      options.keep_storage = SpaceLimit::by_default(disk_space(root_));
      options.lazy_images = true;
      if (is_known_within(*state, *options.keep_storage)) continue;
    }
    if (policy.keep_seconds) options.unused_since = now_seconds() - *policy.keep_seconds;
    if (!options.keep_storage && !options.unused_since) continue;
    const PruneResult result = prune(*state, records, options);
    for (const auto& failure : result.failures) {
      fmt::print(stderr, "lade daemon: garbage collection: {}\n", failure);
    }
    if (result.cache > result.kept && result.bytes() > 0) {
      fmt::print(
          stderr,
          "lade daemon: garbage collection: build cache took {} bytes of at most {}: {} that "
          "were not used for longest are removed\n",
          result.cache, result.kept, result.bytes());
    }
  }
}

}  // namespace lade
