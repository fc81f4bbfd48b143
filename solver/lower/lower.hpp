// Lowering: from a Dockerfile's syntax tree to a graph (solver/graph/definition.hpp) and the config
// of the image it makes, for one target and one platform. Only what the target needs is in the
// graph.
//
// The semantics are those of BuildKit's Dockerfile frontend. Errors carry the range of the
// instruction.
#pragma once

#include "solver/lower/options.hpp"

namespace lade {

/// Throws Error with a range for anything that is wrong in the file.
LoweredImage lower(const parser::Dockerfile& dockerfile, const LowerOptions& options,
                   ImageResolver& resolver);

}  // namespace lade
