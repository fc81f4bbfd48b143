// Doing what `lade build --call` asks for. Nothing is built and no layer fetched; where variables
// or triggers of base images matter (check and outline), their configs are.
#pragma once

#include <functional>

#include "app/build/build_input.hpp"
#include "app/build/build_options.hpp"
#include "solver/lower/lower.hpp"

namespace lade {

/// Prints to standard output; returns the exit code. `resolver` is called for when base images have
/// to be known. Throws Error.
int run_call(const BuildRequest& request, const BuildInput& input,
             const std::function<ImageResolver&()>& resolver);

}  // namespace lade
