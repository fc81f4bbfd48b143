// Filters of `buildctl du` and `prune`, against a record of any text: they are understood or
// refused, soon (libFuzzer's -timeout) and in little memory.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "daemon/proto/control.pb.h"
#include "daemon/server/usage_filter.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // Filters are lines; what follows the first empty one is the record's description.
  const size_t end = bytes.find("\n\n");
  moby::buildkit::v1::DiskUsageRequest request;
  std::string_view lines = bytes.substr(0, end);
  while (!lines.empty()) {
    const size_t newline = lines.find('\n');
    request.add_filter(std::string(lines.substr(0, newline)));
    lines.remove_prefix(newline == std::string_view::npos ? lines.size() : newline + 1);
  }
  moby::buildkit::v1::UsageRecord record;
  record.set_id("layer:1");
  record.set_recordtype("regular");
  if (end != std::string_view::npos) record.set_description(std::string(bytes.substr(end + 2)));
  try {
    const lade::UsageFilters filters(request.filter());
    filters.only_of_type();
    filters.match(record);
  } catch (const lade::Error&) {
  }
  return 0;
}
