#pragma once

#include <map>
#include <memory>
#include <string>

#include "daemon/job/job.hpp"

namespace lade {

struct FrontendRequest {
  std::string frontend;                        ///< "dockerfile.v0", or "gateway.v0" with its image
  std::map<std::string, std::string> options;  ///< "filename", "build-arg:NAME", ...
  std::map<std::string, std::shared_ptr<JobRef>> inputs;
  SourcePolicies policies;
};

}  // namespace lade
