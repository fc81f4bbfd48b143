// What clients learn of a step that failed: BuildKit's errdefs.Solve, by which they can start a
// container in what the step left (`buildx debug --on=error`).
#pragma once

#include <string>

#include "base/error.hpp"
#include "solver/solve.hpp"

namespace lade {

class Job;

/// The step's error.
class StepError : public Error {
 public:
  StepError(const Error& error, std::string details) : Error(error), details_(std::move(details)) {}
  const std::string& details() const { return details_; }  ///< errdefs.Solve as JSON

 private:
  std::string details_;
};

/// Adds results to the job: what each of the step's mounts was, and what it came to. `step` is of
/// an exec op of `graph`.
StepError step_error(Job& job, const Definition& graph, const FailedStep& step, const Error& error);

}  // namespace lade
