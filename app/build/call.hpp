// `lade build --call`: what else can be done with a Dockerfile than build it. Names, output and
// exit codes are those of `docker buildx build --call`.
#pragma once

#include <string>

namespace lade {

enum class CallMethod {
  build,
  check,     ///< report build checks; of all stages, unless a target is named
  outline,   ///< what a target takes from outside
  targets,   ///< the stages
  describe,  ///< the methods
};

struct Call {
  CallMethod method = CallMethod::build;
  bool json = false;
  bool ignore_status = false;  ///< warnings do not show in the exit code
};

/// "check,format=json,ignorestatus=true". Throws Error(usage).
Call parse_call(const std::string& text);

}  // namespace lade
