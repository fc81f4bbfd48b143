#pragma once

#include <initializer_list>

namespace lade::sandbox {

/// Gives all signals but the `ignored` ones their default action and unblocks all, as a program
/// expects at its start.
void reset_signals(std::initializer_list<int> ignored = {});

}  // namespace lade::sandbox
