// What the state directory holds, and making room, as BuildKit's clients see and ask for it.
#pragma once

#include <functional>
#include <string>

namespace moby::buildkit::v1 {
class DiskUsageRequest;
class DiskUsageResponse;
class PruneRequest;
class UsageRecord;
}  // namespace moby::buildkit::v1

namespace lade {

/// Throws Error for a filter that is not understood.
void disk_usage(const std::string& root, const moby::buildkit::v1::DiskUsageRequest& request,
                moby::buildkit::v1::DiskUsageResponse& response);

/// Removes, and tells `send` of each record that went.
void prune_usage(const std::string& root, const moby::buildkit::v1::PruneRequest& request,
                 const std::function<void(const moby::buildkit::v1::UsageRecord&)>& send);

}  // namespace lade
