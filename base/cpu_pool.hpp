// oneTBB's workers for work that computes. Kept behind two functions so that TBB's headers stay out
// of the others.
#pragma once

#include <functional>

namespace lade {

/// Runs `work` on a worker soon. `work` must not throw.
void cpu_enqueue(std::function<void()> work);

/// How many workers there are.
int cpu_count();

}  // namespace lade
