// Names of resource limits, as `docker --ulimit` spells them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lade {

/// RLIMIT_* of "nofile" and its like; nullopt for an unknown name.
std::optional<int> ulimit_resource(std::string_view name);
std::vector<std::string> ulimit_names();

}  // namespace lade
