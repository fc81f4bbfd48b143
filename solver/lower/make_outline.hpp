#pragma once

#include "solver/lower/outline.hpp"
#include "solver/lower/stage.hpp"

namespace lade::lowering {

/// The outline of `target` and all it needs, once lowering is through.
Outline make_outline(const StageState& target);

}  // namespace lade::lowering
