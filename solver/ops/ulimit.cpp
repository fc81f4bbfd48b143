#include "solver/ops/ulimit.hpp"

#include <utility>

#include <sys/resource.h>

namespace lade {
namespace {

constexpr std::pair<std::string_view, int> kLimits[] = {
    {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

}  // namespace

std::optional<int> ulimit_resource(std::string_view name) {
  for (const auto& [known, resource] : kLimits) {
    if (known == name) return resource;
  }
  return std::nullopt;
}

std::vector<std::string> ulimit_names() {
  std::vector<std::string> names;
  for (const auto& limit : kLimits) names.emplace_back(limit.first);
  return names;
}

}  // namespace lade
