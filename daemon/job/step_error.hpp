// What clients learn of a step that failed: BuildKit's errdefs.Solve, by which they can start a
// container in what the step left (`buildx debug --on=error`).
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "solver/solve.hpp"

namespace lade {

/// The step's error.
class StepError : public Error {
 public:
  StepError(const Error& error, std::string details) : Error(error), details_(std::move(details)) {}
  const std::string& details() const { return details_; }  ///< errdefs.Solve as JSON

 private:
  std::string details_;
};

/// Makes a result of layers that clients can ask for; returns its ID.
using AddResult = std::function<std::string(const LayerStack&)>;

/// Adds results: what each of the step's mounts was, and what it came to. `step` is of an exec op
/// of `graph`.
StepError step_error(const AddResult& add, const Definition& graph, const FailedStep& step,
                     const Error& error);

}  // namespace lade
