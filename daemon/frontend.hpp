// The frontend "dockerfile.v0": from BuildKit's frontend options to results that can be solved.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "daemon/job.hpp"

namespace lade {

struct FrontendRequest {
  std::string frontend;                        ///< "dockerfile.v0", or "gateway.v0" with its image
  std::map<std::string, std::string> options;  ///< "filename", "build-arg:NAME", ...
  std::map<std::string, std::shared_ptr<JobRef>> inputs;
  SourcePolicies policies;
};

/// Throws Error, with ranges of the Dockerfile.
FrontendResult run_frontend(Job& job, const FrontendRequest& request);

/// `{"Platforms": [...]}` of a result, as its metadata has it.
std::string platforms_json(const std::vector<Platform>& platforms);

}  // namespace lade
