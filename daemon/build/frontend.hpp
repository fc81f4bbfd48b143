// The frontend "dockerfile.v0": from BuildKit's frontend options to results that can be solved.
#pragma once

#include <string>
#include <vector>

#include "daemon/build/frontend_request.hpp"

namespace lade {

/// Throws Error, with ranges of the Dockerfile.
FrontendResult run_frontend(Job& job, const FrontendRequest& request);

/// `{"Platforms": [...]}` of a result, as its metadata has it.
std::string platforms_json(const std::vector<Platform>& platforms);

}  // namespace lade
