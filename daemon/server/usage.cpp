#include "daemon/server/usage.hpp"

#include <memory>
#include <set>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "daemon/proto/control.pb.h"
#include "daemon/server/usage_filter.hpp"
#include "snapshotter/gc/gc.hpp"
#include "snapshotter/state.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

namespace api = moby::buildkit::v1;

constexpr int64_t kSecond = 1'000'000'000;

/// BuildKit's names for kinds of records.
std::string record_type(UsageType type) {
  switch (type) {
    case UsageType::cache_mount:
      return "exec.cachemount";
    case UsageType::git:
      return "source.git.checkout";
    case UsageType::context:
    case UsageType::stat_cache:
    case UsageType::temporary:
      return "source.local";
    case UsageType::image:
    case UsageType::layer:
    case UsageType::blob:
      return "regular";
    case UsageType::database:
      return "internal";
  }
  return "regular";
}

std::string id_of(UsageType type, const std::string& id) {
  return fmt::format("{}:{}", usage_name(type), id);
}

void put(const UsageItem& item, api::UsageRecord& out) {
  out.set_id(id_of(item.type, item.id));
  out.set_mutable_(item.type == UsageType::cache_mount);
  out.set_inuse(item.in_use);
  out.set_size(static_cast<int64_t>(item.bytes));
  out.mutable_createdat()->set_seconds(item.last_used);
  out.mutable_lastusedat()->set_seconds(item.last_used);
  out.set_usagecount(static_cast<int64_t>(item.users));
  out.set_description(item.description);
  out.set_recordtype(record_type(item.type));
  out.set_shared(item.users > 1);
}

}  // namespace

void disk_usage(const std::string& root, const api::DiskUsageRequest& request,
                api::DiskUsageResponse& response) {
  const UsageFilters filters(request.filter());
  const auto state = StateDir::open(root);
  CollectedRecords records(state->database());
  const int64_t newest = now_seconds() - request.agelimit() / kSecond;
  for (const auto& item : measure_usage(*state, records)) {
    // No cache: the database, images that have names, and what registries said that names mean.
    if (item.type == UsageType::database || item.type == UsageType::image) continue;
    if (item.type == UsageType::blob && !item.reclaimable) continue;
    if (request.agelimit() > 0 && item.last_used > newest) continue;
    api::UsageRecord record;
    put(item, record);
    if (filters.match(record)) *response.add_record() = std::move(record);
  }
}

void prune_usage(const std::string& root, const api::PruneRequest& request,
                 const std::function<void(const api::UsageRecord&)>& send) {
  const UsageFilters filters(request.filter());
  const auto state = StateDir::open(root);
  CollectedRecords records(state->database());
  PruneOptions options;
  // Whatever builds could make again; images that have names are no cache.
  options.types = cache_types();
  if (!filters.empty()) {
    if (!filters.only_of_type()) throw Error("what is pruned can only be filtered by type");
    std::set<UsageType> chosen;
    for (const UsageType type : options.types) {
      api::UsageRecord record;
      record.set_recordtype(record_type(type));
      if (filters.match(record)) chosen.insert(type);
    }
    if (chosen.empty()) return;
    options.types = std::move(chosen);
  }
  if (request.keepduration() > 0) {
    options.unused_since = now_seconds() - request.keepduration() / kSecond;
  }
  const auto bytes = [](int64_t number) {
    return number > 0 ? std::optional(DiskShare{.bytes = static_cast<uint64_t>(number)})
                      : std::nullopt;
  };
  const SpaceLimit space{.max_used = bytes(request.maxusedspace()),
                         .reserved = bytes(request.reservedspace()),
                         .min_free = bytes(request.minfreespace())};
  if (space.max_used || space.reserved || space.min_free) options.keep_storage = space;
  options.all = !options.unused_since && !options.keep_storage;
  const PruneResult result = prune(*state, records, options);
  for (const auto& gone : result.evicted) {
    api::UsageRecord record;
    record.set_id(id_of(gone.type, gone.id));
    record.set_size(static_cast<int64_t>(gone.bytes));
    record.mutable_lastusedat()->set_seconds(gone.last_used);
    record.set_description(gone.description);
    record.set_recordtype(record_type(gone.type));
    send(record);
  }
  if (!result.failures.empty()) throw Error(join(result.failures, "; "));
}

}  // namespace lade
