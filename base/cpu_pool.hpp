// oneTBB's workers for work that computes. Kept behind a function so that TBB's headers stay out of
// the others.
#pragma once

#include <functional>

namespace lade {

/// Runs `work` on a worker soon. `work` must not throw.
void cpu_enqueue(std::function<void()> work);

}  // namespace lade
